import numpy as np
import pytest
from infilink.links.planning.paper_rule import activation_probability

BUILDING_GB = np.asarray([1.5, 3.7, 4.6])


def test_the_papers_probability_is_that_of_its_formula() -> None:
    links = np.asarray([[0.0, 0.9, 0.8], [0.6, 0.0, 0.7], [0.5, 0.4, 0.0]])
    # P1: .85, .65, .45; P2: .55, .65, .75; w = 2 / 1.5.
    by_hand = np.asarray([1.30 / 2, 1.00 * 1.5 / (2 * 3.7), 0.70 * 1.5 / (2 * 4.6)])
    assert activation_probability(links, BUILDING_GB) == pytest.approx(by_hand)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_links_of_the_papers_models_the_cheapest_comes_first(seed: int) -> None:
    links = np.random.default_rng(seed).uniform(0.5, 1.0, (3, 3))
    assert activation_probability(links, BUILDING_GB).argmax() == 0
    assert activation_probability(links, np.asarray([1.5, 0.0, 4.6])).argmax() == 1
    assert activation_probability(links[:1, :1], BUILDING_GB[:1]).tolist() == [1.0]
