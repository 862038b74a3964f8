"""A filter's file gives the phone's page the scores that it gives Python, and decides as there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.filters.gates.base import Decision, ModelOutput
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.gates.tasks import TasksRuntime, decides_for_several
from infilink.filters.modalities.image import Image
from infilink.filters.modalities.stream import LOW_LEVEL, SCALARS
from infilink.filters.training.graphs import scalar_graph, traced_graph
from infilink.filters.training.temporal import TemporalNetwork, network_graph

from ....filters.conftest import draw
from ....filters.made import FRAMES, REPEATS, write_filter
from .conftest import View
from .phone_frames import BYTES, clip, made, sent

TIMES = [0.0, 0.1, 0.7, 0.7, 9.0]
DECIDES = (
    """
async ({frames, times, names, answers}) => {
  const { Filter } = await import("/static/phone/filter.js");
  const { TasksFilter } = await import("/static/phone/tasks_filter.js");
  const { openGraph } = await import("/static/phone/graph.js");
"""
    + BYTES
    + """
  const seen = frames.map(([text, width, height]) => [bytes(text), 3, width, height]);
  const { filters } = await (await fetch("/phone/filters")).json();
  const decided = {};
  for (const name of names) {
    const file = await fetch(`/phone/filter/${name}?digest=${filters[name].digest}`);
    const graph = await openGraph(new Uint8Array(await file.arrayBuffer()));
    const Kind = filters[name].tasks.length > 1 ? TasksFilter : Filter;
    const filter = new Kind(filters[name], graph);
    const found = [];
    for (const [at, frame] of seen.entries()) {
      const { keep, score, learn, skips } = await filter.decide(...frame, times[at]);
      if (answers[at]) learn?.(answers[at]);
      found.push([keep, skips, score]);
    }
    decided[name] = [found, String(filter.error ?? "")];
  }
  return decided;
}
"""
)
"""What the browser decides with filters; the models' own answer for an input is there before the next one."""

Answers = Mapping[int, Mapping[str, np.ndarray]]


def decided(path: Path, frames: Sequence[np.ndarray], times: Sequence[float], answers: Answers) -> list[Decision]:
    """What Python decides, with the models' own outputs for some of the inputs."""
    gate = TasksRuntime(path) if decides_for_several(path) else FilterRuntime(path)
    found = []
    for at, (frame, at_s) in enumerate(zip(frames, times, strict=True)):
        found.append(gate.decide(frame, at_s))
        learn = found[-1].learn
        if learn is not None and at in answers:
            learn({model: ModelOutput(value, "d0") for model, value in answers[at].items()})
    return found


def check(
    look: Callable,
    paths: Sequence[Path],
    frames: Sequence[np.ndarray],
    times: Sequence[float],
    answers: Answers | None = None,
) -> dict[str, list[Decision]]:
    """Makes sure that the browser decides as Python does, which is given by the filters' names."""
    answers = answers or {}
    expected = {path.stem: decided(path, frames, times, answers) for path in paths}
    told = {at: {model: value.tolist() for model, value in each.items()} for at, each in answers.items()}
    given: dict[str, Any] = {"frames": sent(frames), "times": list(times), "answers": told, "names": [*expected]}

    async def story(view: View) -> None:
        await view.page.goto("/phone")
        for name, (found, error) in (await view.page.evaluate(DECIDES, given)).items():
            decisions = expected[name]
            assert error == "", name
            assert [(keep, skips) for keep, skips, _ in found] == [
                (each.keep, [*each.answers]) for each in decisions
            ], name
            scores = [each.score for each in decisions]
            np.testing.assert_allclose([score for *_, score in found], scores, atol=1e-3, err_msg=name)

    look(story, phone_filters=paths[0].parent)
    return expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_folder = tmp_path / "filters"
    made_folder.mkdir()
    return made_folder


@pytest.fixture
def untaught(folder: Path) -> list[Path]:
    """Filters of each kind that nobody taught; what the networks say of a frame hangs on all that they see."""
    import torch
    from infilink.filters.networks.encoders import EncoderNetwork

    torch.manual_seed(3)
    stream = TemporalNetwork(np.zeros(len(SCALARS), np.float32), np.ones(len(SCALARS), np.float32))
    image = Image()
    single = traced_graph(EncoderNetwork(*image.encoder()).eval(), np.zeros((1, *image.shape), np.uint8))
    return [
        write_filter(folder / "network.onnx", network_graph(stream.eval()), REPEATS),
        write_filter(folder / "image.onnx", single, FRAMES, modality=image),
        *(
            write_filter(folder / f"{kind}-{at}.onnx", scalar_graph(kind), REPEATS, reference=reference)
            for kind in LOW_LEVEL
            for at, reference in enumerate(("previous", "last kept"))
        ),
    ]


@pytest.mark.parametrize("name", ["", "lobby_person.mp4", "shop_aisle.mp4"])
def test_the_browser_scores_frames_as_python_does(look: Callable, untaught: list[Path], name: str) -> None:
    found = check(look, untaught, clip(name) if name else made(640, 360), TIMES)
    # What is drawn moves.
    assert name or all(len({each.score for each in decisions}) > 1 for decisions in found.values())


def test_filters_with_a_stem_decide_in_the_browser_as_in_python(look: Callable, stem_filters: Path) -> None:
    frames, places = draw(40, seed=5)
    # The model itself is of another opinion than the head now and then.
    answers = {at: {"scene": np.eye(3, dtype=np.float32)[(place + at // 9) % 3]} for at, place in enumerate(places)}
    found = check(look, sorted(stem_filters.glob("*.onnx")), frames, [at / 10 for at in range(40)], answers)
    assert len(found) == 4
    assert any(each.keep and each.answers for each in found["tasks"])
    for name, decisions in found.items():
        assert 3 <= sum(each.keep for each in decisions) < 40, name
