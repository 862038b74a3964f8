"""The page of a training: its headline says whether something that costs nothing is ahead."""

import pytest
from infilink.filters.evaluation.pages import write_training_page
from infilink.filters.spec import CandidateResult
from infilink.filters.training.train import FilterTraining

from ..made import FRAMES


def trained(tmp_path, free_rate: float, *, certified: bool) -> FilterTraining:
    """A training whose winner drops half of the inputs, beside a random draw."""
    ours = CandidateResult(rate=0.5, error=0.02, threshold=0.7, certified=True)
    free = CandidateResult(rate=free_rate, error=0.05, threshold=0.2, certified=certified)
    spec = FRAMES.model_copy(update={"candidates": {"network": ours, "every K-th": free}})
    return FilterTraining(tmp_path / "f.onnx", spec, 500, 250, 0.6, 12.0)


@pytest.mark.parametrize(
    ("free_rate", "certified", "ahead"),
    [(0.6, True, True), (0.4, True, False), (0.6, False, False)],
    ids=["ahead", "behind", "without a certificate"],
)
def test_the_headline_says_whether_a_free_gate_is_ahead(tmp_path, free_rate, certified, ahead):
    path = tmp_path / "page.html"
    write_training_page(trained(tmp_path, free_rate, certified=certified), path)
    page = path.read_text()
    assert ("every K-th, which costs nothing, is ahead: it drops 60%" in page) == ahead
    assert "certified: network drops 50% of the inputs" in page
    assert "src=" not in page and 'href="http' not in page
