"""What links were learnt from is found again under another name, and not mistaken for what only has its name."""

import copy
import logging
from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.links.evaluation.unseen import fingerprints, held_out
from infilink.links.graph import LinkGraph
from infilink.models.spec import ModelSpec
from infilink.traces.trace import Trace

from ..conftest import crossing, write_trace

LEARNT = crossing(320, 1)


@pytest.fixture
def fingerprinted(graph: LinkGraph, trace_path: Path) -> LinkGraph:
    """The links with the fingerprints of what they were learnt from."""
    one = copy.copy(graph)
    with Trace(trace_path) as trace:
        one.notes = {**graph.notes, "marks": fingerprints(trace, trace.models, before=graph.notes["report_sequence"])}
    assert len(one.notes["marks"]) == 64
    return one


@pytest.mark.parametrize("source", ["made-up", "/videos/made-up"])
def test_the_same_inputs_are_left_out_whatever_they_are_called(
    fingerprinted: LinkGraph,
    specs: dict[str, ModelSpec],
    tmp_path: Path,
    source: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Trace(write_trace(tmp_path / "a.trace", LEARNT, specs, source=source)) as trace:
        with held_out(fingerprinted, trace) as rest:
            assert rest.sequences[0] == fingerprinted.notes["report_sequence"]
            assert rest.sequences[-1] == 319
        assert f"the links were learnt from this recording: only its last {len(rest)} of 320" in caplog.text
        with trace.part(0, 100) as part, pytest.raises(InvalidInput, match="learnt from all of these inputs"):
            held_out(fingerprinted, part)


def test_another_recording_of_the_same_name_is_another_recording(
    fingerprinted: LinkGraph, specs: dict[str, ModelSpec], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Trace(write_trace(tmp_path / "a.trace", crossing(150, 2), specs)) as trace:
        assert held_out(fingerprinted, trace) is trace
    assert "has the name of the one that the links were learnt from (made-up)" in caplog.text


def test_a_recording_of_another_name_and_other_inputs_needs_no_word(
    fingerprinted: LinkGraph, later_trace_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Trace(later_trace_path) as trace:
        assert held_out(fingerprinted, trace) is trace
    assert not caplog.records


def test_links_without_fingerprints_go_by_the_name(
    graph: LinkGraph, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    old = copy.copy(graph)
    old.notes = {key: value for key, value in graph.notes.items() if key != "marks"}
    with Trace(write_trace(tmp_path / "a.trace", LEARNT, specs)) as trace, held_out(old, trace) as rest:
        assert rest.sequences[0] == graph.notes["report_sequence"]
