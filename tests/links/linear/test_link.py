"""A link in closed form: how its numbers come to be, what fades, how sure it is, its file."""

import json
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.graph import LinkGraph
from infilink.links.linear.basis import Basis
from infilink.links.linear.expected import Compared
from infilink.links.linear.link import LinearLink
from infilink.links.linear.regression import KNOTS_S, Regression
from infilink.links.training.train import LinksTraining
from infilink.models.encoding.encoding import Encoding
from infilink.outputs import Array, OutputSpec

_RNG = np.random.default_rng(3)
KINDS: dict[str, tuple[OutputSpec, list[Array]]] = {
    "label": (
        OutputSpec(kind="label", classes=("a", "b", "c")),
        [np.asarray(each, np.float32) for each in _RNG.dirichlet(np.full(3, 4.0), 12)],
    ),
    "multilabel": (
        OutputSpec(kind="multilabel", classes=("a", "b", "c")),
        [np.asarray(each, np.float32) for each in _RNG.uniform(0.1, 0.9, (12, 3))],
    ),
    "count": (OutputSpec(kind="count"), [np.asarray([n], np.float32) for n in _RNG.integers(0, 4, 12)]),
    "scalar": (
        OutputSpec(kind="scalar", tolerance=2.0),
        [np.asarray([n], np.float32) for n in _RNG.uniform(0, 4, 12)],
    ),
    "boxes": (
        OutputSpec(kind="boxes", classes=("car", "person"), measure="counts"),
        [
            np.asarray(
                [(0.1, 0.1, 0.2, 0.2, 0.9, c) for c in range(2) for _ in range(_RNG.integers(0, 4))], np.float32
            ).reshape(-1, 6)
            for _ in range(12)
        ],
    ),
    "vector": (
        OutputSpec(kind="vector", length=4),
        [np.asarray(each, np.float32) for each in _RNG.normal(size=(12, 4))],
    ),
}


def test_a_number_may_bend_and_so_tells_of_the_middle_class() -> None:
    counts = np.repeat(np.arange(8, dtype=np.float32), 20)[:, None]
    encoding = Encoding.fit(OutputSpec(kind="count"), list(counts))
    vectors = np.stack([encoding.encode(count) for count in counts])
    basis = Basis.of_output(encoding, vectors)
    read = np.concatenate([basis.numbers(vectors), np.ones((len(vectors), 1))], axis=1)
    middle = ((counts[:, 0] >= 2) & (counts[:, 0] < 6)).astype(float)
    said = read @ np.linalg.lstsq(read, middle, rcond=None)[0]
    assert np.abs(said - middle).max() < 0.2


def test_how_many_boxes_there_are_in_all_is_a_number_of_its_own() -> None:
    rng = np.random.default_rng(0)
    boxes = [
        np.asarray(
            [(0.1, 0.1, 0.2, 0.2, 0.9, index) for index in range(2) for _ in range(rng.integers(0, 4))], np.float32
        )
        for _ in range(60)
    ]
    values = [each.reshape(-1, 6) for each in boxes]
    encoding = Encoding.fit(OutputSpec(kind="boxes", classes=("car", "person")), values)
    vectors = np.stack([encoding.encode(value) for value in values])
    numbers = Basis.of_output(encoding, vectors).numbers(vectors)
    total = np.asarray([len(value) for value in values], float)
    assert np.abs(np.corrcoef(numbers.T, total)[-1, :-1]).max() > 0.999


def test_a_stem_with_more_features_is_not_believed_more() -> None:
    once = np.random.default_rng(0).normal(size=(300, 20))
    twice = np.concatenate([once, once], axis=1)
    sizes = [float(Basis.of_features(each).numbers(each).var(axis=0).sum()) for each in (once, twice)]
    assert sizes[0] == pytest.approx(sizes[1])


def test_an_error_fades_from_all_of_it_to_none() -> None:
    fades = np.linspace(0.9, 0.1, len(KNOTS_S)).astype(np.float32)
    regression = Regression(np.zeros((1, 1), np.float32), fades, np.zeros((1, 1), np.float32))
    ages_s = np.asarray([0.0, 0.25, 3.0, 64.0, 1000.0, np.nan])
    left = regression.fade(ages_s)
    assert [regression.fade_at(age_s) for age_s in ages_s[:5]] == pytest.approx(left[:5].tolist())
    assert left[0] == 1.0 and left[1] == pytest.approx(0.9) and left[5] == 0.0
    assert (np.diff(left[:4]) < 0).all() and left[3] == left[4] == pytest.approx(0.1)
    assert regression.spread(np.asarray([1.0, 0.0])).tolist() == [0.0, 1.0]


def test_what_never_errs_is_expected_to_agree() -> None:
    spec = OutputSpec(kind="label", classes=("a", "b", "c"))
    outputs = [np.asarray(np.roll([0.8, 0.1, 0.1], index), np.float32) for index in range(9)]
    encoding = Encoding.fit(spec, outputs)
    vectors = np.stack([encoding.encode(value) for value in outputs])
    far = np.concatenate([vectors, -vectors]) * 3
    compared, said = Compared.of(encoding), vectors[:, None]
    assert compared.expected(said, vectors, np.zeros((4, 3)), np.ones(9)).tolist() == [[1.0]] * 9
    assert (compared.expected(said, vectors, far, np.ones(9)) < 0.7).all()
    assert compared.expected(said, vectors, far, np.zeros(9)).tolist() == [[1.0]] * 9


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_expected_is_the_mean_agreement_with_what_may_come(name: str) -> None:
    spec, values = KINDS[name]
    encoding = Encoding.fit(spec, values)
    vectors = np.stack([encoding.encode(value) for value in values])
    errors = vectors[1:] - vectors[0]
    compared = Compared.of(encoding)
    found = compared.expected(vectors[None, :3], vectors[:1], errors[:, compared.columns], np.ones(1))[0]
    for at in range(3):
        each = [spec.agreement(values[at], value) for value in values[1:]]
        assert found[at] == pytest.approx(np.mean(each), abs=1e-5)


def test_the_file_says_what_was_written(lamp_training: LinksTraining, tmp_path: Path) -> None:
    graph = LinkGraph.load(lamp_training.folder)
    link = graph.links["level"]
    assert isinstance(link, LinearLink) and graph.stem is not None
    link.write(tmp_path / "level.npz")
    again = LinearLink.read(tmp_path / "level.npz")
    assert (again.spec.target, again.stem) == ("level", graph.stem.digest)
    vector = graph.exact("lit", np.asarray([0.9, 0.1], np.float32)).vector
    features = np.random.default_rng(0).normal(size=graph.stem.spec.length).astype(np.float32)
    known = {"lit": vector, "stem": features, "noise": np.zeros(1, np.float32)}
    for sources in link.regressions:
        now = {name: known[name] for name in sources}
        for last in (None, np.zeros(1, np.float32)):
            one, other = (each.predict(now, now, last, 2.0) for each in (link, again))
            assert np.array_equal(one[0], other[0]) and one[1] == other[1] and 0.0 <= one[1] <= 1.0
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes((tmp_path / "level.npz").read_bytes()[:200])
    with pytest.raises(InvalidInput, match="damaged"):
        LinearLink.read(damaged)
    with pytest.raises(InvalidInput, match="no such link"):
        LinearLink.read(tmp_path / "nothing.npz")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": 1}, "train the links again"),
        ({"format": 3}, "a newer infilink wrote it"),
        ({"arrays": {"basis.lit.sums": ["float32", [1000000]]}}, "is damaged"),
    ],
)
def test_a_file_of_another_format_or_of_other_shapes_is_refused_with_a_word(
    lamp_training: LinksTraining, tmp_path: Path, header: dict[str, object], message: str
) -> None:
    with np.load(lamp_training.folder / "level.npz") as read:
        arrays = dict(read)
    arrays["link"] = np.asarray(json.dumps(json.loads(str(arrays["link"])) | header))
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(InvalidInput, match=message):
        LinearLink.read(tmp_path / "other.npz")
