"""A made-up crossing: four models whose outputs hang together, recorded with tiny pictures, and links between them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.links.graph import LinkGraph
from infilink.links.link import LinkSpec, reads_ids
from infilink.links.networks.export import export_link
from infilink.links.networks.vector import LinkNetwork
from infilink.links.sequences.fit import fit_sequence
from infilink.links.sequences.network import SequenceNetwork
from infilink.links.training.fit_paper import fit_paper, fit_paper_sequence
from infilink.links.training.judge import Judge
from infilink.links.training.samples import Samples, Situations
from infilink.links.training.train import LinksTraining, train_links
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec, parse_spec
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from .given import first, given

OUTPUTS = {
    "people": {"kind": "boxes", "classes": ["person"]},
    "scene": {"kind": "label", "classes": ["empty", "busy"]},
    "standing": {"kind": "count"},
    "vehicles": {"kind": "boxes", "classes": ["car", "truck"], "measure": "counts"},
}
MEMORY_MIB = {"people": 60, "scene": 20, "standing": 30, "vehicles": 90}


def make_specs(outputs: dict[str, dict[str, object]]) -> dict[str, ModelSpec]:
    return {
        name: parse_spec({"name": name, "input": {"size": [32, 32]}, "output": output}, where=name)
        for name, output in sorted(outputs.items())
    }


def boxes(count: int, index: int, rng: np.random.Generator) -> Array:
    left = rng.uniform(0, 0.8, (count, 2)).astype(np.float32)
    rest = np.full((count, 2), (0.9, index), np.float32)
    return np.concatenate([left, left + 0.15, rest], axis=1)


def crossing(count: int, seed: int) -> list[dict[str, Array]]:
    """Cars come and go; "scene" and "standing" follow from them; people walk on their own."""
    rng = np.random.default_rng(seed)
    cars, people = 0, boxes(1, 0, rng)
    rows = []
    for _ in range(count):
        cars = int(np.clip(cars + rng.choice([-2, -1, 0, 0, 0, 0, 1, 2]), 0, 4))
        if rng.random() < 0.1:
            people = boxes(int(rng.integers(0, 3)), 0, rng)
        busy = 0.95 if cars >= 2 else 0.05
        rows.append(
            {
                "people": people,
                "scene": np.asarray([1 - busy, busy], np.float32),
                "standing": np.asarray([cars // 2], np.float32),
                "vehicles": boxes(cars, 0, rng),
            }
        )
    return rows


def write_trace(
    path: Path,
    rows: list[dict[str, Array]],
    specs: dict[str, ModelSpec],
    *,
    source: str = "made-up",
    step_s: float = 0.5,
) -> Path:
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    costs = {
        name: ModelCost(MEMORY_MIB.get(name, 40) * 2**20, 0.01 * (index + 1), 0.05) for index, name in enumerate(specs)
    }
    digests = {name: f"{index:016x}" for index, name in enumerate(specs)}
    with TraceWriter(path, TraceInfo(source, 2.0, specs, digests, costs)) as writer:
        for sequence, row in enumerate(rows):
            writer.append(sequence, sequence * step_s, jpeg, row)
    return path


@pytest.fixture(scope="session")
def specs() -> dict[str, ModelSpec]:
    return make_specs(OUTPUTS)


@pytest.fixture(scope="session")
def new_trace() -> Callable[..., Path]:
    """Writes a trace of rows of outputs: `new_trace(path, rows, outputs)`."""

    def write(path: Path, rows: list[dict[str, Array]], outputs: dict[str, dict[str, object]]) -> Path:
        return write_trace(path, rows, make_specs(outputs))

    return write


@pytest.fixture(scope="session")
def trace_path(tmp_path_factory: pytest.TempPathFactory, specs: dict[str, ModelSpec]) -> Path:
    return write_trace(tmp_path_factory.mktemp("trace") / "crossing.trace", crossing(320, 1), specs)


@pytest.fixture(scope="session")
def later_trace_path(tmp_path_factory: pytest.TempPathFactory, specs: dict[str, ModelSpec]) -> Path:
    path = tmp_path_factory.mktemp("trace") / "later.trace"
    return write_trace(path, crossing(150, 2), specs, source="another day")


RULES = {
    "scene": {"vehicles": first, "standing": first},
    "standing": {"vehicles": first},
    "vehicles": {"standing": first},
}


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory, trace_path: Path) -> LinksTraining:
    """The links of the crossing, their networks given: of "people" there is none, as nothing tells of them."""
    with Trace(trace_path) as trace:
        return train_links(trace, out=tmp_path_factory.mktemp("links") / "links", fit=given(RULES))


@pytest.fixture(scope="session")
def long_training(tmp_path_factory: pytest.TempPathFactory, specs: dict[str, ModelSpec]) -> LinksTraining:
    """The same of a recording that is long enough to certify something."""
    folder = tmp_path_factory.mktemp("long")
    with Trace(write_trace(folder / "long.trace", crossing(900, 1), specs)) as trace:
        return train_links(trace, out=folder / "links", fit=given(RULES))


@pytest.fixture(scope="session")
def graph(training: LinksTraining) -> LinkGraph:
    return LinkGraph.load(training.folder)


PHRASES = {
    "alarm": {"kind": "label", "classes": ["no", "yes"]},
    "reply": {"kind": "tokens", "length": 9},
    "spoken": {"kind": "tokens", "length": 9},
    "width": {"kind": "vector", "length": 3},
    "words": {"kind": "count"},
}
FOUR_TYPES = {
    "vec->vec": ("alarm", ("width", "words")),
    "seq->vec": ("alarm", ("spoken", "words")),
    "vec->seq": ("reply", ("width", "words")),
    "seq->seq": ("reply", ("spoken", "words")),
}


def phrases(count: int, seed: int) -> dict[str, list[Array]]:
    """Something is said: "reply" repeats it, "alarm" is on if token 3 is in it, "words" counts, "width" is noisy."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Array]] = {name: [] for name in PHRASES}
    for _ in range(count):
        spoken = rng.integers(0, 8, rng.integers(0, 6))
        yes = 0.95 if 3 in spoken else 0.05
        rows["spoken"].append(spoken)
        rows["reply"].append(spoken.copy())
        rows["alarm"].append(np.asarray([1 - yes, yes], np.float32))
        rows["words"].append(np.asarray([len(spoken)], np.float32))
        rows["width"].append(np.append(rng.normal(size=2), len(spoken)).astype(np.float32))
    return rows


@pytest.fixture(scope="session")
def phrase_samples() -> Callable[..., Samples]:
    """Samples of a target and its sources: `phrase_samples("reply", ("spoken",), count=200)`."""

    def make(target: str, sources: tuple[str, ...], *, count: int = 200, seed: int = 0) -> Samples:
        rows, models = phrases(count, seed), make_specs({name: PHRASES[name] for name in (target, *sources)})
        return Samples.of(models, np.arange(count) * 0.5, {name: rows[name] for name in models})

    return make


@pytest.fixture(scope="session")
def trained(
    phrase_samples: Callable[..., Samples], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[LinkNetwork, Situations, Path]]:
    """A network of one of the types, trained for a moment, its situations and its file: `trained(net, kind)`."""
    done: dict[tuple[str, str], tuple[LinkNetwork, Situations, Path]] = {}

    def fit(net: str, situations: Situations) -> LinkNetwork:
        judge = Judge(situations.samples, situations.target)
        tokens = situations.target == "reply"
        if net == "paper":
            return (fit_paper_sequence if tokens else fit_paper)(situations, judge, seed=0, epochs=1)
        return fit_sequence(situations, judge, seed=0, steps=25)

    def get(net: str, kind: str) -> tuple[LinkNetwork, Situations, Path]:
        if (net, kind) not in done:
            target, sources = FOUR_TYPES[kind]
            samples = phrase_samples(target, sources)
            chosen = "paper" if net == "paper" else "ours"
            situations = Situations(samples, target, ids=reads_ids(chosen, samples.encodings[target]))
            network = fit(net, situations)
            encodings = {name: samples.encodings[name] for name in (*situations.sources, target)}
            decoding = network.decoding if isinstance(network, SequenceNetwork) else None
            path = tmp_path_factory.mktemp("nets") / "link.onnx"
            export_link(network, LinkSpec(target, encodings, {}, "0", chosen, decoding), path)
            done[net, kind] = (network, situations, path)
        return done[net, kind]

    return get
