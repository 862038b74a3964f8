"""The candidate "network" on a stream: three strided convolutions over the channels, joined by the scalars (torch).

Its expected loss is the score. It learns from single inputs for a SKIP rule, from pairs of inputs for `unchanged`.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from torch import Tensor, nn
from torch.nn import functional as F

from ...outputs import Array
from ...reporting import Progress
from ..modalities.stream import CHANNELS, SCALARS
from .entrants import Entrant, Entry
from .fit_loop import VALIDATION_SHARE, Checkpoint, Epoch, Recipe, cross_entropy, train
from .graphs import STREAM_INPUTS, build_graph, check_same, session_of
from .losses import Losses
from .replay import Examples, Pairs, Replay, sample_pairs
from .workload import Workload

CONVOLUTIONS = ((24, 5, 4), (32, 3, 2), (48, 3, 2))
"""Each one's channels, size and stride."""

HIDDEN = 32
# So many inputs are looked at in all, as many times as that makes.
_SEEN = 10_000
_EPOCHS = (8, 30)
# Of a longer part so many are drawn for every epoch, which keeps memory and time bounded.
_MOST_PAIRS = 6000
_SHIFT = 6
_CHECKED = 16


def temporal_entrant(work: Workload, entry: Entry) -> Entrant:
    """The network trained on the training part, and its graph."""
    network, curve = fit_network(
        work.stream,
        work.losses,
        start=entry.start,
        stop=work.split.trained,
        seed=work.seed,
        checkpoint=entry.checkpoint,
        progress=entry.progress,
    )
    graph = entry.packed(network_graph(network))
    candidate = NetworkCandidate(session_of(graph), work.stream)
    if not entry.int8:
        _check(network, candidate, start=work.split.calibrated, stop=work.split.stop)
    return Entrant(candidate, graph, curve=curve)


class TemporalNetwork(nn.Module):
    """Channels and scalars in, the logit of the expected loss out.

    Args:
        mean: of each scalar over the training pairs.
        scale: one over its deviation; 0 leaves the scalar out.
    """

    def __init__(self, mean: Array, scale: Array) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        width = CHANNELS
        for wide, size, stride in CONVOLUTIONS:
            conv = nn.Conv2d(width, wide, size, stride=stride, padding=size // 2, bias=False)
            blocks += [conv, nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            width = wide
        self.features = nn.Sequential(*blocks)
        self.hidden = nn.Linear(2 * width + len(SCALARS), HIDDEN)
        self.last = nn.Linear(HIDDEN, 1)
        self.register_buffer("mean", torch.from_numpy(np.asarray(mean, np.float32)))
        self.register_buffer("scale", torch.from_numpy(np.asarray(scale, np.float32)))

    def forward(self, channels: Tensor, scalars: Tensor) -> Tensor:
        """The logits: (n,)."""
        features = self.features(channels)
        pooled = torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3)), self.normal(scalars)], dim=1)
        out: Tensor = self.last(torch.relu(self.hidden(pooled))).squeeze(1)
        return out

    def normal(self, scalars: Tensor) -> Tensor:
        """The scalars about 0, within ±4."""
        assert isinstance(self.mean, Tensor) and isinstance(self.scale, Tensor)
        return ((scalars - self.mean) * self.scale).clamp(-4, 4)

    @torch.no_grad()
    def scores(self, images: Array, scalars: Array, *, batch: int = 128) -> Array:
        """The expected losses of images (uint8, channels last) and scalars: float64 (n,)."""
        self.eval()
        parts = [
            torch.sigmoid(self(to_channels(images[i : i + batch]), torch.from_numpy(scalars[i : i + batch]))).numpy()
            for i in range(0, len(images), batch)
        ]
        return np.concatenate(parts).astype(np.float64)

    def folded(self) -> list[tuple[Array, Array]]:
        """Each convolution's weights and bias with its batch norm worked in."""
        found = []
        blocks = list(self.features)
        for conv, norm in zip(blocks[0::3], blocks[1::3], strict=True):
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            assert norm.running_var is not None and norm.running_mean is not None
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = conv.weight * gain[:, None, None, None]
            bias = norm.bias - norm.running_mean * gain
            found.append((weight.detach().numpy(), bias.detach().numpy()))
        return found


def to_channels(images: Array) -> Tensor:
    """What the network is fed: (n, 3, side, side) from 0 to 1, in memory channels last, which is faster on a CPU."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().mul_(1 / 255)


def fit_network(
    replay: Replay,
    losses: Losses,
    *,
    start: int,
    stop: int,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[TemporalNetwork, list[Epoch]]:
    """The network trained on a stretch, and its curve; the last part is not learnt from but tells when it was best."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - round((stop - start) * VALIDATION_SHARE)
    checked = [_examples(replay, losses, middle, stop, random) for _ in range(3 if replay.pairwise else 1)]
    network = _new_network(replay, _examples(replay, losses, start, middle, random))
    epochs = int(np.clip(_SEEN / (middle - start), *_EPOCHS))
    curve = train(
        network,
        _Frames(network, replay, losses, start, middle, checked),
        Recipe(epochs, patience=epochs),
        examples=middle - start,
        random=random,
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, curve


class _Frames:
    """Frames of a stretch, a new pair for each at every epoch."""

    def __init__(
        self,
        network: TemporalNetwork,
        replay: Replay,
        losses: Losses,
        start: int,
        stop: int,
        checked: list[Examples],
    ) -> None:
        self._network = network
        self._replay = replay
        self._losses = losses
        self._start, self._stop = start, stop
        self._checked = checked
        self._examples = checked[0]

    def begin(self, random: np.random.Generator) -> int:
        self._examples = _examples(self._replay, self._losses, self._start, self._stop, random)
        return len(self._examples.targets)

    def loss(self, rows: Array, random: np.random.Generator) -> Tensor:
        channels = to_channels(augment(self._examples.images[rows], random))
        gain = torch.from_numpy(random.uniform(0.8, 1.2, (len(rows), 1, 1, 1)).astype(np.float32))
        logits = self._network(channels * gain, torch.from_numpy(self._examples.scalars[rows]))
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self._examples.targets[rows]))

    def validate(self) -> float:
        parts = [(each.targets, self._network.scores(each.images, each.scalars)) for each in self._checked]
        return float(np.mean([cross_entropy(targets, scores) for targets, scores in parts]))


def _examples(replay: Replay, losses: Losses, start: int, stop: int, random: np.random.Generator) -> Examples:
    pairs = sample_pairs(replay, start, stop, random)
    if len(pairs.current) > _MOST_PAIRS:
        drawn = np.sort(random.permutation(len(pairs.current))[:_MOST_PAIRS])
        pairs = Pairs(pairs.kept[drawn], pairs.current[drawn])
    return Examples(
        replay.images(pairs.kept, pairs.current),
        replay.scalars(pairs.kept, pairs.current),
        losses.of(pairs.kept, pairs.current).astype(np.float32),
    )


def _new_network(replay: Replay, examples: Examples) -> TemporalNetwork:
    scale = 1.0 / np.maximum(examples.scalars.std(axis=0), 1e-4)
    # The time since the last kept input means nothing to a rule on single inputs; nothing is carried.
    unused = ("step", "carried") if replay.pairwise else ("step", "carried", "age")
    scale[[SCALARS.index(name) for name in unused]] = 0.0
    return TemporalNetwork(examples.scalars.mean(axis=0), scale)


def augment(images: Array, random: np.random.Generator) -> Array:
    """Shifts and mirrors each image (uint8, channels last), all of its channels alike."""
    out = np.empty_like(images)
    for row, image in zip(out, images, strict=True):
        down, across = random.integers(-_SHIFT, _SHIFT + 1, 2)
        moved = np.roll(image, (down, across), axis=(0, 1))
        row[:] = moved[:, ::-1] if random.random() < 0.5 else moved
    return out


def network_graph(network: TemporalNetwork) -> onnx.ModelProto:
    """A graph whose score is the network's expected loss."""
    nodes: list[Any] = []
    weights: dict[str, Any] = {}
    image = "channels"
    for i, ((weight, bias), (_, size, stride)) in enumerate(zip(network.folded(), CONVOLUTIONS, strict=True)):
        weights |= {f"w{i}": weight, f"b{i}": bias}
        inputs, pads = [image, f"w{i}", f"b{i}"], [size // 2] * 4
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], strides=[stride] * 2, pads=pads))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        image = f"r{i}"
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    weights |= {key: state[key] for key in ("mean", "scale")}
    weights |= {key.replace(".", "_"): state[key] for key in state if key.startswith(("hidden", "last"))}
    weights |= {"low": np.float32(-4), "high": np.float32(4)}
    nodes += [
        helper.make_node("GlobalMaxPool", [image], ["most"]),
        helper.make_node("GlobalAveragePool", [image], ["average"]),
        helper.make_node("Flatten", ["most"], ["flat_most"]),
        helper.make_node("Flatten", ["average"], ["flat_average"]),
        helper.make_node("Sub", ["scalars", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["normal"]),
        helper.make_node("Concat", ["flat_most", "flat_average", "normal"], ["pooled"], axis=1),
        helper.make_node("Gemm", ["pooled", "hidden_weight", "hidden_bias"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "last_weight", "last_bias"], ["logit"], transB=1),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    return build_graph(nodes, weights, STREAM_INPUTS)


class NetworkCandidate:
    """The learned network's expected loss as the score, computed by the very graph that its file will have."""

    name = "network"
    most = 0.5  # of an input that is skipped, the loss to expect
    alone: Array | None = None

    def __init__(self, session: ort.InferenceSession, replay: Replay) -> None:
        self.replay = replay
        self._session = session

    def scores(self, kept: Array, current: int) -> Array:
        """The expected loss, per last kept input."""
        wanted = kept if self.replay.pairwise else kept[:1]
        return np.broadcast_to(self.of_pairs(wanted, np.full(len(wanted), current)), kept.shape)

    def of_pairs(self, kept: Array, current: Array) -> Array:
        """The expected loss of each pair."""
        images = np.ascontiguousarray(self.replay.images(kept, current).transpose(0, 3, 1, 2))
        channels = np.multiply(images, np.float32(1 / 255), dtype=np.float32)
        found = self._session.run(None, {"channels": channels, "scalars": self.replay.scalars(kept, current)})[0]
        return np.asarray(found[:, 0], np.float64)


def _check(network: TemporalNetwork, candidate: NetworkCandidate, *, start: int, stop: int) -> None:
    """Makes sure that the graph computes what was trained."""
    replay = candidate.replay
    now = np.arange(start, min(start + _CHECKED, stop))
    wanted = network.scores(replay.images(now - 1, now), replay.scalars(now - 1, now))
    computed = np.asarray([candidate.scores(np.asarray([i - 1]), int(i))[0] for i in now])
    check_same(wanted, computed, what="the graph's score")
