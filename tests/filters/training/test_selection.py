import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.training.selection import choose
from infilink.filters.training.sweep import Sweep

INPUTS = 1000


def made(name: str, errors: dict[float, float], seed: int = 0) -> Sweep:
    """A sweep that has these errors at these rates, by independent draws."""
    random = np.random.default_rng(seed)
    kept = np.stack([random.random(INPUTS) >= rate for rate in errors])
    wrong = np.stack([random.random(INPUTS) < error / max(rate, 1e-9) for rate, error in errors.items()])
    return Sweep(name, np.linspace(0, 1, len(errors)), kept, (wrong & ~kept).astype(float))


def test_the_candidate_that_filters_the_most_with_a_certificate_wins():
    bold = made("bold", {0.0: 0.0, 0.5: 0.03, 0.8: 0.05, 0.9: 0.2})
    careful = made("careful", {0.0: 0.0, 0.2: 0.03, 0.4: 0.05, 0.6: 0.2})
    choice = choose([careful, bold], accuracy=0.9)
    assert choice.name == "bold" and choice.certificate.certified
    assert choice.certificate.rate == pytest.approx(0.8, abs=0.05)
    assert choice.certificate.upper_bound <= 0.1
    assert choice.candidates["careful"].rate == pytest.approx(0.4, abs=0.05)
    assert any(level.threshold == choice.threshold for level in choice.table)


def test_of_equals_the_first_wins():
    errors = {0.0: 0.0, 0.5: 0.02, 0.7: 0.05, 0.9: 0.3}
    assert choose([made("a", errors), made("b", errors, seed=1)], accuracy=0.9).name == "a"


def test_what_a_decision_takes_is_taken_off_what_it_saves():
    dear = made("dear", {0.0: 0.0, 0.6: 0.04, 0.9: 0.3})
    cheap = made("cheap", {0.0: 0.0, 0.4: 0.04, 0.9: 0.3}, seed=1)
    assert choose([dear, cheap], accuracy=0.9).name == "dear"
    assert choose([dear, cheap], accuracy=0.9, costs=[0.5, 0.01]).name == "cheap"
    assert choose([dear, cheap], accuracy=0.9, costs=[0.04, 0.0]).name == "dear", "less is not told apart"
    assert choose([dear], accuracy=0.9, costs=[2.0]).name == "dear", "it may be wanted for what is sent"


def test_a_threshold_beyond_a_failed_one_is_not_taken():
    choice = choose([made("a", {0.0: 0.0, 0.3: 0.02, 0.5: 0.2, 0.9: 0.01})], accuracy=0.9)
    assert choice.certificate.rate == pytest.approx(0.3, abs=0.05)


def test_too_few_inputs_for_a_certificate_are_said():
    short = made("a", {0.0: 0.0, 0.4: 0.01, 0.7: 0.02, 0.9: 0.6})
    short = Sweep("a", short.thresholds, short.kept[:, :20], np.zeros((4, 20)))
    short.losses[3] = ~short.kept[3]
    choice = choose([short], accuracy=0.9)
    found = choice.certificate
    assert not found.certified and found.upper_bound > 0.1
    assert 9 <= found.more_runs <= 29


def test_where_nothing_can_be_lost_nothing_is_proven():
    idle = Sweep(
        "a", np.asarray([-1.0, 0.0]), np.stack([np.ones(INPUTS, bool), np.arange(INPUTS) < 1]), np.zeros((2, INPUTS))
    )
    found = choose([idle], accuracy=0.9).certificate
    assert not found.certified and (found.runs, found.upper_bound, found.more_runs) == (0, 1.0, 29)
    shown = Sweep(idle.name, idle.thresholds, idle.kept, idle.losses, (np.arange(INPUTS) % 10 == 9).astype(float))
    assert choose([shown], accuracy=0.9).certificate.certified


def test_what_drops_no_more_than_a_free_gate_is_refused():
    free = made("random", {0.0: 0.0, 0.3: 0.03, 0.6: 0.05, 0.9: 0.3}, seed=1)
    learnt = made("a", {0.0: 0.0, 0.2: 0.02, 0.5: 0.05, 0.9: 0.3})
    alone = choose([learnt], accuracy=0.9)
    assert alone.certificate.certified
    found = choose([learnt], accuracy=0.9, references=[free])
    assert not found.certificate.certified and not found.candidates["a"].certified
    assert "drops no more than random" in found.certificate.method and found.threshold == alone.threshold
    assert choose([free], accuracy=0.9, references=[learnt]).certificate.certified


def test_what_hardly_ever_dropped_is_refused():
    kept = np.ones((3, INPUTS), bool)
    kept[1, 700:706] = kept[2, :-1] = False
    losses = np.zeros((3, INPUTS))
    losses[2, ::4] = 1
    found = choose([Sweep("a", np.arange(3.0), kept, losses)], accuracy=0.9).certificate
    assert not found.certified and found.rate == pytest.approx(0.006) and "fewer than 3 runs" in found.method
    kept[1, 100::40] = False
    again = choose([Sweep("a", np.arange(3.0), kept, losses)], accuracy=0.9).certificate
    assert again.certified and 0 < again.rate_interval[0] < again.rate < again.rate_interval[1] < 0.1


def test_candidates_that_are_all_wrong_are_refused_with_their_figures():
    with pytest.raises(InvalidInput, match=r"no filter keeps an accuracy of 0\.9 .*a 0\.\d+.*ask for less"):
        choose([made("a", {0.0: 0.0, 0.5: 0.4, 0.9: 0.8})], accuracy=0.9)


def test_errors_that_come_in_runs_are_worth_less():
    lost = np.zeros(INPUTS)
    lost[100:120] = lost[500:520] = lost[900:910] = 1
    kept = np.zeros((2, INPUTS), bool)
    kept[0] = True
    sweep = Sweep("a", np.asarray([-1.0, 0.0]), kept, np.stack([np.zeros(INPUTS), lost]))
    with pytest.raises(InvalidInput, match="no filter keeps"):
        choose([sweep], accuracy=0.93)
    found = choose([sweep], accuracy=0.75).certificate
    assert found.certified and found.runs < INPUTS / 15
    assert found.lost == pytest.approx(found.runs * found.error, abs=0.01)
