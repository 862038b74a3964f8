"""How near is near enough: the gates that a calibration part proves to keep an accuracy, in closed loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InvalidInput, NotCertified
from ...outputs import Array, OutputSpec
from ...reporting import Progress
from ..training.selection import Choice, choose
from ..training.sweep import Sweep
from .cache import Miss, ResultCache

CacheMaker = Callable[[float, float], ResultCache]
"""Makes an empty cache with a gate (L1 distance) and a theta."""

# The most careful first: it is preferred among equals.
THETAS = (0.75, 0.25, 0.0)
_SAMPLED = 600
_LEVELS = (14, 8)
_LEAST_SHARE = 1e-3
# At an error that many times the target, no greater gate of the same family can still be certified.
_HOPELESS = 2.0


@dataclass(frozen=True)
class Stretch:
    """A stretch of recorded inputs.

    Attributes:
        spec: of the outputs.
        embeddings: float32 (inputs, dims).
        outputs: the model's, for each input.
        captured_s: when each was captured.
        skipped: bool (inputs,): whether a SKIP rule answers it before the cache is asked.
        skip_losses: float64 (inputs,): the loss if it does, from 0 to 1.
    """

    spec: OutputSpec
    embeddings: Array
    outputs: Sequence[Array]
    captured_s: Array
    skipped: Array
    skip_losses: Array


@dataclass(frozen=True)
class Gates:
    """The gates that were certified.

    Attributes:
        gate: the greatest distance (L1).
        theta: the least homogeneity.
        skips: whether inputs are skipped by their score as well.
        choice: the certificate, and what other gates would bring.
        rate: the greatest rate at the accuracy that was asked for, measured as the competitors' are, without a proof.
        rate_accuracy: the accuracy there.
    """

    gate: float
    theta: float
    skips: bool
    choice: Choice
    rate: float
    rate_accuracy: float


def certify_gates(
    stretch: Stretch,
    make: CacheMaker,
    *,
    accuracy: float,
    most: float,
    uncertified: bool = False,
    progress: Progress | None = None,
) -> Gates:
    """Runs every gate with every theta, with and without skipping, and takes what answers the most with a certificate.

    Args:
        stretch: the calibration part.
        make: makes an empty cache.
        accuracy: the least mean agreement.
        most: the greatest distance that makes sense.
        uncertified: whether the best is taken although nothing is proven of it.
        progress: is told the share done.

    Raises:
        NotCertified: nothing is certified; the numbers say how far it is from that.
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
    choice = _choose(sweeps, accuracy, best[0], uncertified=uncertified)
    skips, theta = families[choice.name]
    return Gates(choice.threshold, theta, skips, choice, *best)


def _choose(sweeps: list[Sweep], accuracy: float, best: float, *, uncertified: bool) -> Choice:
    inputs = sweeps[0].losses.shape[1]
    advice = "ask for less, or record more inputs"
    if best <= 0.0:
        errors = ", ".join(f"{s.name} {1 - s.errors[s.rates > 0].min(initial=1.0):.3f}" for s in sweeps)
        raise NotCertified(
            f"no reuse keeps an accuracy of {accuracy:g} on the {inputs} calibration inputs; "
            f"the best that each way keeps while it reuses anything: {errors}; {advice}"
        )
    try:
        choice = choose(sweeps, accuracy=accuracy)
    except InvalidInput as error:
        raise NotCertified(
            f"no reuse is certain to keep an accuracy of {accuracy:g}: on the {inputs} calibration inputs one kept it "
            f"while it answered {best:.3f} of them, with no margin; {advice}"
        ) from error
    found = choice.certificate
    if not found.certified and not uncertified:
        more = f" ({found.more_runs} more runs would probably do)" if found.more_runs else ""
        raise NotCertified(
            f"no reuse is certified to keep an accuracy of {accuracy:g}: on {inputs} calibration inputs, worth "
            f"{found.runs:g} independent runs, the best answered {found.rate:.3f} with an error of "
            f"{found.error:.3f}, at most {found.upper_bound:.3f} with {found.confidence:.0%} confidence; {advice}{more}"
            ", or have it without a proof with --uncertified"
        )
    return choice


def gates_of(embeddings: Array, *, most: float = np.inf) -> Array:
    """Distances worth trying: 0, and quantiles of those between inputs and of those to the nearest; none above `most`.

    The inputs' results play no part in it.
    """
    places = np.linspace(0, len(embeddings) - 1, min(_SAMPLED, len(embeddings))).round().astype(int)
    some = embeddings[places]
    distances = np.stack([np.abs(some - one).sum(axis=1) for one in some])
    pairs = distances[np.triu_indices(len(some), 1)]
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    between = np.quantile(pairs, np.geomspace(_LEAST_SHARE, 0.5, _LEVELS[0]))
    to_nearest = np.quantile(nearest, np.linspace(0.1, 0.95, _LEVELS[1]))
    return np.unique(np.minimum(np.concatenate([[0.0], between, to_nearest]), most))


def sweep_gates(name: str, make: CacheMaker, stretch: Stretch, *, gates: Array, theta: float, target: float) -> Sweep:
    """Every gate over the stretch, from the most careful on, until the error is far above the target."""
    kept, losses = [], []
    for gate in gates.tolist():
        ran, lost = run_cache(make(gate, theta), stretch)
        kept.append(ran)
        losses.append(lost)
        if lost.mean() > _HOPELESS * target:
            break
    dropped = np.asarray([1.0 - stretch.spec.agreement(stretch.outputs[0], output) for output in stretch.outputs])
    return Sweep(name, gates[: len(kept)], np.stack(kept), np.stack(losses), dropped)


def run_cache(cache: ResultCache, stretch: Stretch) -> tuple[Array, Array]:
    """Runs an empty cache over a stretch: the executed inputs, bool (inputs,), and the losses, float64 (inputs,)."""
    kept = np.zeros(len(stretch.outputs), np.bool_)
    losses = np.where(stretch.skipped, stretch.skip_losses, 0.0)
    for i in np.flatnonzero(~stretch.skipped).tolist():
        now_s, output = float(stretch.captured_s[i]), stretch.outputs[i]
        hit = cache.lookup(stretch.embeddings[i], now_s)
        if isinstance(hit, Miss):
            cache.insert(stretch.embeddings[i], output, cache.version, now_s)
            kept[i] = True
        else:
            losses[i] = 1.0 - stretch.spec.agreement(hit.output, output)
    return kept, losses


def greatest_rate(stretch: Stretch, make: CacheMaker, *, accuracy: float) -> float:
    """The greatest rate at an accuracy that any gate with any theta reaches on a stretch, without a proof."""
    gates, target = gates_of(stretch.embeddings), 1.0 - accuracy
    sweeps = (sweep_gates("", make, stretch, gates=gates, theta=theta, target=target) for theta in THETAS)
    return max(best_rate(sweep, target)[0] for sweep in sweeps)


def best_rate(sweep: Sweep, target: float) -> tuple[float, float]:
    """The greatest rate at a mean error of at most `target`, and the accuracy there; 0 and 1 if there is none."""
    fine = sweep.errors <= target + 1e-12
    if not fine.any():
        return 0.0, 1.0
    best = int(np.argmax(np.where(fine, sweep.rates, -1.0)))
    return float(sweep.rates[best]), float(1.0 - sweep.errors[best])


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
