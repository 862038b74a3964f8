"""A period's labels: bounded, saved as they are, and honest about the answers that did not come."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.modalities.stream import CHANNELS, SCALARS, SIDE
from infilink.filters.online.inputs import Seen
from infilink.filters.online.labels import Labels, load_labels

RANDOM = np.random.default_rng(0)


def seen(value: int = 0) -> Seen:
    images = np.full((1, SIDE, SIDE, CHANNELS), value, np.uint8)
    return Seen(images, np.full((1, len(SCALARS)), value, np.float32), np.zeros(1))


def filled(
    labels: Labels, count: int, *, probability: float = 1.0, skipped: bool = False, needed: float | None = None
) -> Labels:
    for i in range(count):
        loss = float(i % 3 == 0) if needed is None else needed
        labels.inputs += round(1 / probability)
        labels.certain += probability == 1.0
        labels.add(seen(i % 200), score=i / count, skipped=skipped, needed=loss, probability=probability, random=RANDOM)
    return labels


def test_it_holds_a_bounded_number_of_examples_of_both_kinds_and_every_label():
    labels = filled(Labels(16), 300)
    held = labels.memory.all()
    assert len(labels) == len(labels.judged().needed) == 300
    assert len(held.targets) == 16 and held.targets.sum() == 8
    assert labels.memory.all().images.nbytes == 16 * 3 * 112 * 112


def test_saved_and_loaded_it_is_the_same(tmp_path):
    labels = filled(Labels(8), 20, probability=0.25)
    labels.elapsed_s = 12.5
    labels.save(tmp_path / "labels.npz", {"update": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["labels.npz"]
    found, facts = load_labels(tmp_path / "labels.npz")
    assert facts == {"update": 3}
    assert (found.inputs, found.certain, found.elapsed_s) == (80, 0, 12.5)
    for name in ("scores", "needed", "probabilities", "inputs"):
        assert np.array_equal(getattr(found.judged(), name), getattr(labels.judged(), name))
    for name in ("images", "scalars", "targets"):
        assert np.array_equal(getattr(found.memory.all(), name), getattr(labels.memory.all(), name))


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "labels.npz"
    for content in (b"", b"something else"):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="holds no labels of a live filter; delete it"):
            load_labels(path)


def test_answers_that_did_not_come_make_the_stretch_shorter_not_the_loss_smaller():
    labels = filled(Labels(8), 30)
    labels.inputs, labels.certain = 200, 60
    assert labels.judged().inputs == 100
    assert filled(Labels(8), 10, probability=0.1).judged().inputs == 100


def test_it_is_time_to_learn_when_something_can_be_proven_or_is_wrong():
    assert not filled(Labels(8), 31).tells(0.1)
    assert filled(Labels(8), 60, skipped=False).tells(0.1)
    few = filled(Labels(8), 25, probability=0.1, skipped=True, needed=0.0)
    assert not few.tells(0.1)
    assert not filled(few, 8, probability=0.25, skipped=True, needed=0.0).tells(0.05)
    assert filled(few, 10, probability=0.25, skipped=True, needed=0.0).tells(0.1)
    assert filled(few, 30, probability=0.1, skipped=True, needed=1.0).tells(0.01)
