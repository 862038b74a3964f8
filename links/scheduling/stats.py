"""What a site's schedule did, and why, in numbers."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PairStats:
    """One model on one stream.

    Attributes:
        runs: how often it was run.
        index: what a run on the last input was worth for what it costs: losses prevented a second.
        price: what a second had to bring then.
    """

    runs: int
    index: float
    price: float

    @property
    def why(self) -> str:
        """Why it ran on the last input or did not, in words."""
        beside = f"a second spent on it prevents {self.index:.3g} losses"
        return f"{beside}, {'at least' if self.index >= self.price else 'less than'} the {self.price:.3g} it has to"


@dataclass(frozen=True)
class ScheduleStats:
    """The whole site.

    Attributes:
        streams: how many there are.
        compute_cores: what may be spent in a second.
        spent_s: what was spent, loads included.
        bank_s: what is saved.
        price: what a second has to bring now: losses that it prevents.
        runs: by model.
        loads: by model.
        load_s: seconds that loads took.
        waiting: by model, the losses that one run on every stream would prevent.
        keeping: by model, the losses a second that it prevents by staying loaded.
        pairs: by stream and model, of those that are weighed there.
    """

    streams: int
    compute_cores: float
    spent_s: float
    bank_s: float
    price: float
    runs: Mapping[str, int]
    loads: Mapping[str, int]
    load_s: float
    waiting: Mapping[str, float]
    keeping: Mapping[str, float]
    pairs: Mapping[Hashable, Mapping[str, PairStats]]
