"""Every policy of the demo: ours, ours without one of its parts, what is free, and what can't be had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...outputs import Array
from .recorded import Site

Gate = Literal["all", "filter", "every", "random", "difference"]
Chooses = Literal["schedule", "turns", "fixed", "hindsight", "full"]


@dataclass(frozen=True)
class Policy:
    """What differs between the policies.

    Attributes:
        name: in report.json.
        title: in tables.
        note: what it is, in a sentence.
        gate: which inputs a device sends.
        chooses: what decides which models run: our schedule, turns, one set for good, who knows the outputs, or nobody.
        links: whether what does not run is predicted; else it is held.
        stem: whether features travel, and frames only where something is to run on them.
    """

    name: str
    title: str
    note: str
    gate: Gate = "all"
    chooses: Chooses = "turns"
    links: bool = False
    stem: bool = False

    @property
    def free(self) -> bool:
        """Whether it learns nothing."""
        return self.chooses == "turns"


FULL = Policy("full", "full run", "every frame sent, every model run on it: the reference", chooses="full")
OURS = Policy(
    "infilink",
    "infilink",
    "filter, stem, links and one schedule for the site, over real daemons",
    gate="filter",
    chooses="schedule",
    links=True,
    stem=True,
)
REPLAYED = Policy(
    "replayed", "infilink, replayed", "the same from the recorded outputs", "filter", "schedule", True, True
)
HOLDS = "what does not run is held"
POLICIES = (
    Policy("no_links", "ours without links", f"the same schedule; {HOLDS}", "filter", "schedule", False, False),
    Policy("no_filters", "ours without filters", "the devices send every input", "all", "schedule", True, True),
    Policy("no_stem", "ours without a stem", "frames travel, and links read outputs only", "filter", "schedule", True),
    Policy("hold", "hold + round-robin", f"the site's pairs in turn, on every frame; {HOLDS}"),
    Policy("every", "every K-th input", f"what is loaded runs on each; {HOLDS}", "every"),
    Policy("difference", "frame difference", "to the last kept input, by one threshold for the site that is set in "
           "hindsight; what is loaded runs on each", "difference"),
    Policy("random", "random inputs", "what is loaded runs on each", "random"),
    Policy("mlink", "MLink's own rule", "models by activation probability run on every input, links say the rest",
           "filter", "fixed", True),
    Policy("hindsight", "who knows the outputs", f"greedy: runs what its last output is wrong on; {HOLDS}",
           "all", "hindsight"),
)  # fmt: skip
FREE = tuple(policy for policy in POLICIES if policy.free)
WITHOUT = tuple(policy for policy in POLICIES if policy.name.startswith("no_"))


def kept_by(gate: Gate, site: Site, seed: int) -> dict[str, Array]:
    """The inputs that each device sends: bool (inputs,).

    A free gate keeps as many as those models that fit the memory can run on within the compute: what it is given in
    the mean over the site. Each camera's first input is always kept.
    """
    share = min(1.0, site.compute_cores / site.full_cores * site.full_bytes / site.budget_bytes)
    if gate == "filter":
        kept = {name: each.kept.copy() for name, each in site.cameras.items()}
    elif gate == "every":
        kept = {name: np.diff(np.floor(share * np.arange(len(each) + 1) + at / len(site.cameras))) > 0
                for at, (name, each) in enumerate(site.cameras.items())}  # fmt: skip
    elif gate == "random":
        random = np.random.default_rng(seed)
        kept = {name: random.random(len(each)) < share for name, each in site.cameras.items()}
    elif gate == "difference":
        kept = _by_difference({name: each.pictures for name, each in site.cameras.items()}, share)
    else:
        kept = {name: np.ones(len(each), bool) for name, each in site.cameras.items()}
    for each in kept.values():
        each[0] = True
    return kept


def _by_difference(pictures: Mapping[str, Array], share: float) -> dict[str, Array]:
    """Where a picture differs most from the last kept one: the threshold with which that share of all is kept."""
    low, high = 0.0, 256.0
    total = sum(map(len, pictures.values()))
    kept: dict[str, Array] = {}
    for _ in range(14):
        middle = (low + high) / 2
        kept = {name: _beyond(each, middle) for name, each in pictures.items()}
        low, high = (middle, high) if sum(each.sum() for each in kept.values()) > share * total else (low, middle)
    return kept


def _beyond(pictures: Sequence[Array] | Array, threshold: float) -> Array:
    kept, last = np.zeros(len(pictures), bool), None
    for row, picture in enumerate(pictures):
        if last is None or np.abs(picture - last).mean() > threshold:
            kept[row], last = True, picture
    return kept
