"""What enters the contest for a filter: a candidate with the graph of its file; here are those that learn nothing.

A maker takes the workload and an entry, and trains on the inputs from the entry's `start` to the end of the training
part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import onnx

from ...reporting import Progress
from ..modalities import Modality
from ..spec import FilterStem, Keeps
from .candidates import Candidate, LowLevelCandidate, RandomCandidate, ScalarCandidate
from .fit_loop import Checkpoint, Epoch
from .graphs import compress, random_graph, scalar_graph
from .workload import Workload


@dataclass(frozen=True)
class Entry:
    """How an entrant is to be made.

    Attributes:
        name: what it competes as.
        start: the first input that it is trained on.
        int8: whether large weights are rounded to int8.
        checkpoint: where its training is kept; None: nowhere.
        progress: is told the share done.
    """

    name: str
    start: int = 0
    int8: bool = False
    checkpoint: Checkpoint | None = None
    progress: Progress | None = None

    def packed(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        """The graph as its file shall have it."""
        return compress(graph) if self.int8 else graph


@dataclass(frozen=True)
class Entrant:
    """A candidate and what its file would be.

    Attributes:
        candidate: scores inputs.
        graph: computes those scores.
        modality: how an input is prepared for it; None: it sees a stream's channels.
        curve: of its training; empty if nothing is learnt.
        compares: whether it sees an input beside the last kept one, whatever the rule.
        keeps: what is compared with the threshold (`FilterSpec`).
        state_weights: "flip": of the score now, and of that of the last kept input.
        learnt: whether it learnt from the training part.
        stem: the stem in its graph; None: it has none.
        compared: of each model's answers as numbers, which it compares with the last kept one's (`AnswerNumbers`).
    """

    candidate: Candidate
    graph: onnx.ModelProto
    modality: Modality | None = None
    curve: list[Epoch] = field(default_factory=list)
    compares: bool = False
    keeps: Keeps = "above"
    state_weights: tuple[float, float] = (0.0, 0.0)
    learnt: bool = True
    stem: FilterStem | None = None
    compared: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


Maker = Callable[[Workload, Entry], Entrant]


def scalar_entrant(work: Workload, entry: Entry) -> Entrant:
    """A scalar of the stream by its name."""
    return Entrant(ScalarCandidate(entry.name, work.stream), scalar_graph(entry.name), learnt=False)


def low_level_entrant(work: Workload, entry: Entry) -> Entrant:
    """A low-level difference by its name."""
    return Entrant(LowLevelCandidate(entry.name, work.stream), scalar_graph(entry.name), learnt=False)


def random_entrant(work: Workload, entry: Entry) -> Entrant:
    """A random draw per input, of whatever kind the inputs are."""
    candidate = RandomCandidate(len(work.trace), seed=work.seed)
    return Entrant(candidate, random_graph(seed=work.seed), learnt=False)
