"""Candidates that see each input by itself: a modality's encoder (torch), and the nearest known inputs.

Of a stream an input is a frame, or a window of frames.
"""

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional as F

from ...outputs import Array
from ...reporting import Progress
from ..modalities import Learnable
from ..modalities.descriptor import Descriptor
from ..modalities.image import Image
from ..modalities.joint import Joint
from ..modalities.net import Net
from ..modalities.video import Video
from ..networks.encoders import EncoderNetwork
from .entrants import Entrant, Entry
from .fit_loop import VALIDATION_SHARE, Checkpoint, Epoch, Recipe, cross_entropy, train
from .graphs import build_graph, session_of, traced_graph
from .replay import Singles
from .workload import Split, Workload

PAPER = Recipe(epochs=20, patience=20, one_cycle=False)
NEIGHBOURS = 10
# So many inputs are looked at in all, as many times as that makes.
_SEEN = 20_000
_EPOCHS = (8, 60)
_PATIENCE = 8
# The rarer kind of input makes up at least so much of what is learnt from.
_LEAST_SHARE = 0.25
_BATCH = 64
_CHECKED = 16


def encoder_entrant(work: Workload, entry: Entry, *, kind: str = "", net: Net = "ours") -> Entrant:
    """An encoder and its head, trained on the training part, and their graph.

    Args:
        work: what it is trained for.
        entry: how it is made.
        kind: the modality of its inputs; "": that of the trace.
        net: whose encoder.
    """
    singles = work.prepared(kind, net=net)
    graph, curve = learn_encoder(singles, work.losses.needed.mean(axis=0), work.split, entry, seed=work.seed)
    candidate = SingleInputCandidate(entry.name, session_of(graph), singles, start=work.split.calibrated)
    return Entrant(candidate, graph, singles.modality, curve)


def neighbours_entrant(work: Workload, entry: Entry) -> Entrant:
    """What was said of the nearest inputs of the training part, by hand-made descriptors."""
    inner = work.replay.modality if isinstance(work.replay, Singles) else None
    descriptor = Descriptor(inner=None if isinstance(inner, Image | Video | Joint | Descriptor) else inner)
    described = Singles(work.trace, descriptor)
    known = np.arange(entry.start, work.split.trained)
    graph = neighbours_graph(
        descriptor,
        described.rows(known),
        work.losses.needed.mean(axis=0)[known],
        neighbours=min(NEIGHBOURS, len(known)),
    )
    candidate = SingleInputCandidate(entry.name, session_of(graph), described, start=work.split.calibrated)
    return Entrant(candidate, graph, descriptor)


class SingleInputCandidate:
    """A candidate whose scores do not depend on what was kept: computed once, for every input from `start` on.

    Attributes:
        alone: how needed each input is.
        most: the greatest threshold that makes sense for the scores.
    """

    def __init__(
        self,
        name: str,
        session: ort.InferenceSession,
        singles: Singles,
        *,
        start: int,
        most: float = 0.9,
        task: int = 0,
    ) -> None:
        self.name = name
        self.most = most
        self.alone = np.ones(len(singles))
        for first in range(start, len(singles), _BATCH):
            index = np.arange(first, min(first + _BATCH, len(singles)))
            self.alone[index] = session.run(None, {"input": singles.rows(index)})[0][:, task]

    def scores(self, kept: Array, current: int) -> Array:
        """The input's score, whatever was kept."""
        return np.full(len(kept), self.alone[current])


def learn_encoder(
    singles: Singles, needed: Array, split: Split, entry: Entry, *, seed: int
) -> tuple[onnx.ModelProto, list[Epoch]]:
    """The graph of an encoder and its heads, trained on the training part, and its curve.

    Args:
        singles: the inputs.
        needed: float (inputs,) or (inputs, tasks), how needed each one is, from 0 to 1.
        split: where the training part ends; the graph is checked on the first inputs after it.
        entry: how it is made.
        seed: of everything that is drawn.
    """
    modality = singles.modality
    assert not isinstance(modality, Descriptor), "a descriptor has no encoder"
    network, curve = fit_encoder(
        singles,
        needed,
        modality,
        start=entry.start,
        stop=split.trained,
        seed=seed,
        checkpoint=entry.checkpoint,
        progress=entry.progress,
    )
    samples = singles.rows(np.arange(split.calibrated, min(split.calibrated + _CHECKED, split.stop)))
    return entry.packed(traced_graph(network, samples)), curve


def fit_encoder(
    singles: Singles,
    needed: Array,
    modality: Learnable,
    *,
    start: int,
    stop: int,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[EncoderNetwork, list[Epoch]]:
    """The network trained on a stretch, and its curve; the last part is not learnt from but tells when it was best.

    The paper's networks are trained as the paper says: RMSprop, 20 epochs, nothing augmented or balanced.

    Args:
        singles: the inputs.
        needed: float (inputs,) or (inputs, tasks), how needed each one is, from 0 to 1.
        modality: how they are augmented, and their encoder.
        start: the first input of the stretch.
        stop: the one after its last.
        seed: of everything that is drawn.
        checkpoint: where the training is kept.
        progress: is told the share done.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - max(1, round((stop - start) * VALIDATION_SHARE))
    needed = needed.reshape(len(needed), -1)
    network = EncoderNetwork(*modality.encoder(), plain=modality.net != "ours", tasks=needed.shape[1])
    if modality.net == "paper":
        # Its large maps go through LayerNorms over channels: with these last in memory it takes two thirds of the time.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learnt, checked = np.arange(start, middle), np.arange(middle, stop)
    ours = Recipe(int(np.clip(_SEEN / len(learnt), *_EPOCHS)), _PATIENCE)
    curve = train(
        network,
        _Inputs(network, singles, needed, modality, learnt, checked),
        PAPER if modality.net == "paper" else ours,
        examples=len(learnt),
        random=random,
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, curve


class _Inputs:
    """Inputs by themselves; those of the rarer kind are drawn more often if they are very few."""

    def __init__(
        self,
        network: EncoderNetwork,
        singles: Singles,
        needed: Array,
        modality: Learnable,
        learnt: Array,
        checked: Array,
    ) -> None:
        self._network = network
        self._singles = singles
        self._needed = needed
        self._modality = modality
        self._learnt = self._drawn = learnt
        self._checked = checked
        wanted = needed[learnt].max(axis=1)
        share = float(np.clip(wanted.mean(), 1e-6, 1 - 1e-6))
        aim = float(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))
        weights = wanted * aim / share + (1 - wanted) * (1 - aim) / (1 - share)
        self._weights = None if modality.net == "paper" or aim == share else weights / weights.sum()

    def begin(self, random: np.random.Generator) -> int:
        if self._weights is not None:
            self._drawn = random.choice(self._learnt, len(self._learnt), p=self._weights)
        return len(self._drawn)

    def loss(self, rows: Array, random: np.random.Generator) -> Tensor:
        index = self._drawn[rows]
        inputs = self._singles.rows(index)
        if self._modality.net != "paper":
            inputs = self._modality.augment(inputs, random)
        logits = self._network.logits(torch.from_numpy(np.ascontiguousarray(inputs)))
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self._needed[index].astype(np.float32)))

    def validate(self) -> float:
        return cross_entropy(self._needed[self._checked], scores_of(self._network, self._singles, self._checked))


@torch.no_grad()
def scores_of(network: EncoderNetwork, singles: Singles, index: Array, *, batch: int = _BATCH) -> Array:
    """How needed inputs are, by the network: float64 (n, tasks)."""
    network.eval()
    parts = [network(torch.from_numpy(singles.rows(index[i : i + batch]))) for i in range(0, len(index), batch)]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def neighbours_graph(descriptor: Descriptor, known: Array, needed: Array, *, neighbours: int) -> onnx.ModelProto:
    """A graph whose score is the share of the nearest known descriptors whose inputs were needed.

    Args:
        descriptor: what makes them.
        known: float32 (inputs, hashes).
        needed: float (inputs,), from 0 to 1.
        neighbours: how many count.
    """
    weights = {
        "known": np.ascontiguousarray(known.T, np.float32),
        "squares": (known**2).sum(axis=1, dtype=np.float32)[None],
        "minus_two": np.float32(-2.0),
        "needed": needed.astype(np.float32),
        "k": np.asarray([neighbours], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["input", "known"], ["products"]),
        helper.make_node("Mul", ["products", "minus_two"], ["doubled"]),
        helper.make_node("Add", ["doubled", "squares"], ["distances"]),
        helper.make_node("TopK", ["distances", "k"], ["nearest", "which"], axis=1, largest=0),
        helper.make_node("Gather", ["needed", "which"], ["theirs"], axis=0),
        helper.make_node("ReduceMean", ["theirs"], ["score"], axes=[1], keepdims=1),
    ]
    return build_graph(nodes, weights, {"input": ["n", *descriptor.shape]})
