"""What every network must do: ours to sequences, the paper's of all four types."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.link import Link
from infilink.links.networks.vector import LinkNetwork
from infilink.links.training.fit import predict
from infilink.links.training.samples import Situations
from infilink.outputs import Array

Trained = Callable[[str, str], tuple[LinkNetwork, Situations, Path]]

pytestmark = pytest.mark.parametrize(
    ("net", "kind"),
    [*product(["paper"], ["vec->vec", "seq->vec"]), *product(["ours", "paper"], ["vec->seq", "seq->seq"])],
)


def some_features(situations: Situations, count: int = 60) -> Array:
    draws = situations.draw(np.random.default_rng(3), situations.samples.blocks.report, count)
    return situations.features(draws)


def test_the_file_says_what_the_network_says(trained: Trained, net: str, kind: str) -> None:
    network, situations, path = trained(net, kind)
    features = some_features(situations)
    expected, got = predict(network, features), Link(path).predict_many(features)
    assert np.allclose(expected[0], got[0], atol=1e-5)
    assert np.allclose(expected[1], got[1], atol=1e-5)
    assert ((got[1] >= 0.0) & (got[1] <= 1.0)).all()


def test_one_alone_is_as_among_many(trained: Trained, net: str, kind: str) -> None:
    _, situations, path = trained(net, kind)
    link, features = Link(path), some_features(situations)
    together, confidence = link.predict_many(features)
    for row in (0, 7, 59):
        alone, sure = link.predict_many(features[row : row + 1])
        assert np.allclose(alone[0], together[row], atol=1e-5)
        assert sure[0] == pytest.approx(confidence[row], abs=1e-5)


def test_any_subset_of_the_sources_serves_and_so_does_none(trained: Trained, net: str, kind: str) -> None:
    _, situations, path = trained(net, kind)
    link, samples, target = Link(path), situations.samples, situations.target
    encoding = samples.encodings[target]
    row = int(samples.blocks.report[0])
    for there in ((), situations.sources[:1], situations.sources[1:], situations.sources):
        now = {name: samples.vectors[name][row] for name in there}
        for last, age_s in ((None, 0.0), (samples.vectors[target][row - 4], 2.0)):
            predicted, confidence = link.predict(now, {}, last, age_s)
            samples.models[target].output.check(encoding.decode(predicted))
            assert 0.0 <= confidence <= 1.0


def test_serving_one_is_serving_many(trained: Trained, net: str, kind: str) -> None:
    _, situations, path = trained(net, kind)
    link, samples, target = Link(path), situations.samples, situations.target
    row = samples.blocks.report[:1] + 5
    draws = situations.fixed(row, row - 3, situations.sources)
    many = link.predict_many(situations.features(draws))
    sources = {name: samples.vectors[name] for name in situations.sources}
    now, then = ({name: of[int(index)] for name, of in sources.items()} for index in (row[0], row[0] - 3))
    one = link.predict(now, then, samples.vectors[target][int(row[0]) - 3], 1.5)
    assert np.allclose(one[0], many[0][0], atol=1e-5)
    assert one[1] == pytest.approx(many[1][0], abs=1e-5)


def test_a_link_says_what_it_is_and_twice_the_same(trained: Trained, net: str, kind: str) -> None:
    _, situations, path = trained(net, kind)
    first, second = Link(path), Link(path)
    assert first.spec.net == net
    assert (first.spec.target, first.spec.sources) == (situations.target, situations.sources)
    assert first.layout == situations.layout
    features = some_features(situations)
    assert np.array_equal(first.predict_many(features)[0], second.predict_many(features)[0])
    assert np.array_equal(first.predict_many(features)[1], second.predict_many(features)[1])


def test_nan_is_refused(trained: Trained, net: str, kind: str) -> None:
    _, situations, _ = trained(net, kind)
    for name in situations.sources:
        output = situations.samples.models[name].output
        wrong = np.full([max(1, size) for size in output.shape], np.nan, np.float32)
        with pytest.raises(InvalidInput):
            output.check(wrong)
