"""How near is near enough: the gates that a calibration part proves to keep an accuracy, in closed loop."""

from dataclasses import dataclass, replace

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...progress import Progress
from ..selection import Choice, choose
from ..sweep import Sweep
from .closed_loop import CacheMaker, Stretch, best_rate, gates_of, sweep_gates

# The most careful first: it is preferred among equals.
THETAS = (0.75, 0.25, 0.0)


@dataclass(frozen=True)
class Gates:
    """What was certified.

    Attributes:
        gate: the greatest distance (L1).
        theta: the least homogeneity.
        skips: whether inputs are skipped by their score as well.
        choice: the certificate, and what other gates would bring.
        rate: the greatest rate at the accuracy that was asked for, as the competitors' are measured: not certified.
        rate_accuracy: what is kept there.
    """

    gate: float
    theta: float
    skips: bool
    choice: Choice
    rate: float
    rate_accuracy: float


def certify_gates(
    stretch: Stretch, make: CacheMaker, *, accuracy: float, most: float, progress: Progress | None = None
) -> Gates:
    """Runs every gate with every theta, with and without skipping, and takes what answers the most with a certificate.

    Args:
        stretch: the calibration part.
        make: makes an empty cache.
        accuracy: the least mean agreement.
        most: the greatest distance that makes sense.
        progress: is told the share done.

    Raises:
        InvalidInput: nothing is certified; the numbers say how far it is from that.
    """
    target = 1.0 - accuracy
    alone = replace(stretch, skipped=np.zeros_like(stretch.skipped))
    ways = [(True, stretch), (False, alone)] if stretch.skipped.any() else [(False, alone)]
    gates = gates_of(stretch.embeddings, most=most)
    families: dict[str, tuple[bool, float]] = {}
    sweeps: list[Sweep] = []
    for skips, part in ways:
        for theta in THETAS:
            if progress is not None:
                progress(len(sweeps) / (len(ways) * len(THETAS)), f"calibrating, theta {theta:g}")
            name = f"theta {theta:g}{' after skipping' if skips else ''}"
            families[name] = skips, theta
            sweeps.append(sweep_gates(name, make, part, gates=gates, theta=theta, target=target))
    best = max((best_rate(sweep, target) for sweep in sweeps), key=lambda found: found[0])
    choice = _choose(sweeps, accuracy, best[0])
    skips, theta = families[choice.name]
    return Gates(choice.threshold, theta, skips, choice, *best)


def skip_threshold(scores: Array, needed: Array, *, allowed: float, most: float) -> float | None:
    """The greatest score up to which skipping loses at most a share of the inputs; None if that skips none.

    Args:
        scores: how needed inputs are found to be, float (n,).
        needed: how needed they are, float (n,), from 0 to 1.
        allowed: the mean loss over all of them.
        most: the greatest threshold.
    """
    order = np.argsort(scores, kind="stable")
    fine = (np.cumsum(needed[order]) / len(scores) <= allowed) & (scores[order] <= most)
    count = int(np.argmin(fine)) if not fine.all() else len(fine)
    return float(scores[order[count - 1]]) if count else None


def _choose(sweeps: list[Sweep], accuracy: float, best: float) -> Choice:
    inputs = sweeps[0].losses.shape[1]
    advice = "ask for less, or record more inputs"
    if best <= 0.0:
        errors = ", ".join(f"{s.name} {1 - s.errors[s.rates > 0].min(initial=1.0):.3f}" for s in sweeps)
        raise InvalidInput(
            f"no reuse keeps an accuracy of {accuracy:g} on the {inputs} calibration inputs; "
            f"the best that each way keeps while it reuses anything: {errors}; {advice}"
        )
    try:
        choice = choose(sweeps, accuracy=accuracy)
    except InvalidInput as error:
        raise InvalidInput(
            f"no reuse is certain to keep an accuracy of {accuracy:g}: on the {inputs} calibration inputs one kept it "
            f"while it answered {best:.3f} of them, with no margin; {advice}"
        ) from error
    found = choice.certificate
    if not found.certified:
        more = f" ({found.more_inputs} more would probably do)" if found.more_inputs else ""
        raise InvalidInput(
            f"no reuse is certified to keep an accuracy of {accuracy:g}: on {inputs} calibration inputs, worth "
            f"{found.effective_inputs:g} independent ones, the best answered {found.rate:.3f} with an error of "
            f"{found.error:.3f}, at most {found.upper_bound:.3f} with {found.confidence:.0%} confidence; {advice}{more}"
        )
    return choice
