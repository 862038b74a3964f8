"""Links of a site: what all cameras teach, and what is each one's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.graph import LinkGraph
from infilink.links.table import NEVER
from infilink.links.training.samples import Blocks, Samples
from infilink.links.training.train import LinksTraining, train_links
from infilink.outputs import Array
from infilink.traces.site import Site

OUTPUTS = {"cars": {"kind": "count"}, "seats": {"kind": "count"}}
PER_CAR = {"bridge": 2, "gate": 2, "ramp": 2, "short": 2, "odd": -1}
INPUTS = {"short": 30}


def rows_of(camera: str, seed: int) -> list[dict[str, Array]]:
    """ "seats" follows from "cars": at "odd" otherwise than anywhere else."""
    rng = np.random.default_rng(seed)
    cars = rng.integers(0, 5, INPUTS.get(camera, 120))
    factor = PER_CAR[camera]
    seats = cars * factor if factor > 0 else 8 + cars * factor
    return [
        {"cars": np.asarray([c], np.float32), "seats": np.asarray([s], np.float32)}
        for c, s in zip(cars, seats, strict=True)
    ]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, new_trace: Callable[..., Path]) -> LinksTraining:
    folder = tmp_path_factory.mktemp("site")
    for seed, camera in enumerate(PER_CAR):
        new_trace(folder / f"{camera}.trace", rows_of(camera, seed), OUTPUTS)
    with Site.open([folder]) as site:
        return train_links(site, out=folder / "links", seed=0)


def seats(graph: LinkGraph, cars: int) -> float:
    """What a link says."""
    answer = graph.predict("seats", {"cars": np.asarray([cars], np.float32)})
    assert answer.origin == "linked"
    return float(answer.value[0])


def test_each_camera_answers_by_what_holds_there(learnt: LinksTraining) -> None:
    graph = LinkGraph.load(learnt.folder)
    assert graph.cameras == ("bridge", "gate", "odd", "ramp", "short")
    assert graph.knows("odd") and not graph.knows("yard") and graph.camera("yard") is graph
    assert graph.camera("odd") is graph.camera("odd")
    for cars in (1, 3):
        assert seats(graph.camera("bridge"), cars) == pytest.approx(2 * cars, abs=0.49)
        assert seats(graph.camera("odd"), cars) == pytest.approx(8 - cars, abs=0.49)
    odd = learnt.cameras["odd"]["seats"]
    assert odd.linked[NEVER] > odd.constant + 0.3


def test_a_camera_that_shows_little_takes_over_what_all_others_agree_on(
    tmp_path: Path, new_trace: Callable[..., Path]
) -> None:
    for seed, camera in enumerate(("bridge", "gate", "ramp", "short")):
        new_trace(tmp_path / f"{camera}.trace", rows_of(camera, seed), OUTPUTS)
    with Site.open([tmp_path]) as site:
        train_links(site, out=tmp_path / "links", seed=0)
    graph = LinkGraph.load(tmp_path / "links")
    short = graph.camera("short")
    for cars in range(1, 4):
        now = {"cars": short.exact("cars", np.asarray([cars], np.float32)).vector}
        vector, _ = short.links["seats"].predict(now, {}, None, 0.0)
        assert float(short.encodings["seats"].decode(vector)[0]) == pytest.approx(2 * cars, abs=0.49)
        assert seats(graph, cars) == pytest.approx(2 * cars, abs=0.49)


def test_holding_alone_knows_the_same_cameras(learnt: LinksTraining) -> None:
    graph = LinkGraph.load(learnt.folder).without_links()
    assert graph.knows("odd") and not graph.camera("odd").links
    assert graph.camera("odd").tables["seats"] != graph.tables["seats"]


def test_what_serves_a_new_camera_is_judged_by_cameras_that_were_left_out(learnt: LinksTraining) -> None:
    # One of five is unlike the others: there the others' links fail, and the table of a new camera says so.
    new, known = learnt.targets["seats"], learnt.cameras["bridge"]["seats"]
    assert new.linked[NEVER] < known.linked[NEVER]
    assert not any(text.startswith("certified") for text in new.certified)


def test_a_folder_of_a_camera_is_a_folder_of_links(learnt: LinksTraining) -> None:
    whole = LinkGraph.load(learnt.folder)
    alone = LinkGraph.load(learnt.folder / "cameras" / "odd")
    assert not alone.cameras
    assert seats(alone, 2) == seats(whole.camera("odd"), 2)
    assert alone.notes["source"] == "made-up" and len(whole.notes["recordings"]) == len(PER_CAR)


def test_last_outputs_never_come_from_another_camera() -> None:
    parts = {"a": 30, "b": 20}
    times = np.concatenate([np.arange(30) * 0.5, 2000.0 + np.arange(20) * 0.5])
    samples = Samples.of({}, times, {}, cameras=parts)
    inputs = np.arange(50)
    for age_s in (0.1, 0.5, 3.0, 60.0):
        earlier = samples.earlier(inputs, np.full(50, age_s))
        known = earlier >= 0
        assert ((earlier < 30) == (inputs < 30))[known].all() and (earlier < inputs)[known].all()
        assert not known[[0, 30]].any()
    assert samples.span_s(inputs) == pytest.approx(25.0)


def test_the_blocks_of_each_camera_are_apart_in_time() -> None:
    blocks = Blocks.split(100, 40)
    for start, stop in ((0, 100), (100, 140)):
        train, validation, report = (
            block[(block >= start) & (block < stop)] for block in (blocks.train, blocks.validation, blocks.report)
        )
        assert train[-1] + 1 < validation[0] and validation[-1] + 1 < report[0] and report[-1] == stop - 1
    assert not set(blocks.learnt) & set(blocks.report) and set(blocks.learnt) < set(blocks.before)


def test_a_camera_that_is_too_short_is_named(tmp_path: Path, new_trace: Callable[..., Path]) -> None:
    new_trace(tmp_path / "a.trace", rows_of("gate", 0), OUTPUTS)
    new_trace(tmp_path / "b.trace", rows_of("gate", 1)[:10], OUTPUTS)
    with Site.open([tmp_path]) as site, pytest.raises(InvalidInput, match=r"b\.trace: links need at least 20 inputs"):
        train_links(site, out=tmp_path / "links")
