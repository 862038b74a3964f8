"""One filter of several cameras: a threshold for each, and what is proven there."""

import json
import logging
from itertools import pairwise

import numpy as np
import pytest
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.cli import train_filter_command
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.spec import load_filter
from infilink.filters.training.selection import choose_for_cameras, pulled
from infilink.filters.training.sweep import Sweep
from infilink.filters.training.train import train_filter
from infilink.traces.site import Site

from ..conftest import write_trace

SCENE = 10


def drawn(random, errors, scenes):
    """A camera's sweep: scenes that are lost as a whole, at a looser threshold all that are lost at a stricter one."""
    chance = np.repeat(random.random(scenes), SCENE)
    lost = chance < np.asarray(errors)[:, None]
    rates = np.linspace(0.0, 0.9, len(errors))
    kept = np.repeat(random.random(scenes), SCENE) >= rates[:, None]
    return kept & ~lost, lost.astype(float)


def site_of(random, cameras):
    runs = [drawn(random, errors, scenes) for errors, scenes in cameras]
    kept, losses = (np.concatenate(each, axis=1) for each in zip(*runs, strict=True))
    ends = np.cumsum([0, *(scenes * SCENE for _, scenes in cameras)])
    parts = {f"{i}": slice(int(a), int(b)) for i, (a, b) in enumerate(pairwise(ends))}
    return Sweep("made", np.linspace(0, 1, len(kept)), kept, losses), parts


GOOD = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.3)
BAD = (0.0, 0.11, 0.12, 0.15, 0.2, 0.3, 0.4, 0.6)


def test_a_camera_is_certified_only_by_what_it_shows_itself():
    # Cameras on which nearly nothing is lost prove nothing of the last, on which too much is.
    random = np.random.default_rng(0)
    broken = held = 0
    for _ in range(80):
        sweep, parts = site_of(random, [(GOOD, 120)] * 2 + [(BAD, 120)])
        found = choose_for_cameras(sweep, parts, accuracy=0.9, competed=2)
        for name, true in (("0", GOOD), ("2", BAD)):
            if found[name].certificate.certified:
                at = int(np.argmin(np.abs(sweep.thresholds - found[name].threshold)))
                broken += true[at] > 0.1
                held += name == "0"
    assert held > 40 and broken <= 80 * 0.05


def test_a_camera_that_shows_little_is_drawn_to_what_all_do():
    random = np.random.default_rng(1)
    sweep, parts = site_of(random, [(GOOD, 200)] * 5 + [(GOOD, 4)])
    found = choose_for_cameras(sweep, parts, accuracy=0.9, competed=1)
    assert not found["5"].certificate.certified and found["5"].certificate.more_runs > 0
    assert 0.0 < found["5"].threshold <= max(each.threshold for each in found.values())


def test_errors_are_drawn_as_far_as_cameras_are_alike():
    runs = np.full((4, 1), 50.0)
    alike = np.asarray([[0.05], [0.06], [0.04], [0.05]])
    apart = np.asarray([[0.01], [0.3], [0.02], [0.25]])
    near, worth = pulled(alike, runs)
    assert np.allclose(near, 0.05, atol=0.004) and (worth > 200).all()
    own, few = pulled(apart, runs)
    assert np.abs(own - apart).max() < 0.05 and (few < 70).all()
    assert pulled(apart, np.asarray([[50.0], [1.0], [50.0], [50.0]]))[0][1, 0] < own[1, 0]


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for seed, (name, inputs) in enumerate({"door": 160, "hall": 160, "yard": 60}.items()):
        write_trace(folder / f"{name}.trace", inputs=inputs, seed=seed)
    return folder


@pytest.fixture(scope="module")
def filter_path(site_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("filter") / "site.onnx"
    with Site.open([site_folder]) as site:
        options = {"accuracy": 0.8, "seed": 3, "uncertified": True, "candidates": ("background", "difference")}
        done = train_filter(site, rule=parse_rule("value < 1"), models=("squares",), out=out, **options)
    assert (done.trained, done.calibrated) == (round(0.65 * 380), sum(len_of(each) for each in (160, 160, 60)))
    return out


def len_of(inputs):
    trained = round(0.65 * inputs)
    return inputs - trained - round(0.05 * inputs)


def test_a_device_takes_the_threshold_of_its_camera(filter_path, caplog):
    spec = load_filter(filter_path)[0]
    assert list(spec.cameras) == ["door", "hall", "yard"] and spec.learnt_from is None
    assert not spec.certificate.certified and "nobody has seen" in spec.certificate.method
    for name, own in spec.cameras.items():
        gate = open_gate(filter_path, camera=name)
        assert isinstance(gate, FilterRuntime)
        assert (gate.threshold, gate.certified) == (own.threshold, own.certificate.certified)
        assert gate.spec.learnt_from == own.learnt_from
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        gate = open_gate(filter_path, camera="attic")
    assert (gate.threshold, gate.certified) == (spec.threshold, False)
    assert [record.message for record in caplog.records if "camera 'attic' is none of those" in record.message]
    with pytest.raises(InvalidInput, match="no threshold of this filter is proven"):
        open_gate(f"{filter_path}@0.7")


def test_a_site_in_which_nothing_is_proven_gives_no_filter(site_folder, tmp_path):
    options = {"accuracy": 0.97, "candidates": ("difference", "background"), "rule": parse_rule("value < 1")}
    with Site.open([site_folder]) as site, pytest.raises(NotCertified, match=r"certified to keep .* at any camera"):
        train_filter(site, models=("squares",), out=tmp_path / "f.onnx", **options)
    assert not (tmp_path / "f.onnx").exists()


def test_the_command_takes_a_folder_or_named_cameras(site_folder, tmp_path, capsys):
    options = {"rule": "value < 1", "model": ["squares"], "accuracy": 0.8, "uncertified": True, "seed": 3}
    options |= {"candidate": ["difference"], "stem": "none"}
    cameras = [f"{name}={site_folder / name}.trace" for name in ("door", "hall")]
    train_filter_command(camera=cameras, out=tmp_path / "f.onnx", as_json=True, **options)
    assert set(json.loads(capsys.readouterr().out)["spec"]["cameras"]) == {"door", "hall"}
    train_filter_command(traces=[site_folder], out=tmp_path / "f.onnx", **options)
    assert "yard" in capsys.readouterr().out
    given = options | {"accuracy": None, "event_recall": 0.9}
    with pytest.raises(InvalidInput, match="finds events is learnt from one camera"):
        train_filter_command(traces=[site_folder], out=tmp_path / "f.onnx", **given)
