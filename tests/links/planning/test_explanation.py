import json

import pytest
from infilink.errors import InvalidInput
from infilink.links.cli import plan_command
from infilink.links.graph import LinkGraph
from infilink.links.planning.explanation import Explanation, explain_plan
from infilink.links.planning.planner import plan_problem
from infilink.links.planning.streams import Stream
from infilink.links.planning.weights import parse_weights, shares
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.links.training.train import LinksTraining
from infilink.models.cost import ModelCost


def flat(value: float, count: int, threshold: float | None = None) -> tuple[Measured, ...]:
    return (Measured(value, value, threshold),) * count


# "large" never fits. "source" predicts "tied" well and "loose" badly; "other" would predict "loose", but does not run.
COSTS = {
    "large": ModelCost(1000, 0.01, 0.1),
    "loose": ModelCost(60, 0.01, 1e6),
    "other": ModelCost(70, 0.01, 1e6),
    "source": ModelCost(50, 0.01, 1e6),
    "tied": ModelCost(60, 0.01, 1e6),
}
TABLES = {
    "large": Table(Measured(0.6, 0.6, 0.0), flat(0.6, NEVER)),
    "loose": Table(
        Measured(0.8, 0.8, 0.0),
        flat(0.8, NEVER),
        {("source",): flat(0.7, BUCKETS), ("other",): flat(0.95, BUCKETS)},
    ),
    "other": Table(Measured(0.8, 0.8, 0.0), flat(0.8, NEVER)),
    "source": Table(Measured(0.1, 0.1), flat(0.1, NEVER)),
    "tied": Table(Measured(0.3, 0.3), flat(0.3, NEVER), {("source",): flat(0.95, BUCKETS)}),
}


def explained(budget_bytes: int, compute_cores: float = float("inf")) -> Explanation:
    graph = LinkGraph({}, COSTS, {}, TABLES, {}, {}, {}, {})
    streams = [Stream("gate", TABLES, 2.0), Stream("yard", TABLES, 2.0)]
    return explain_plan(plan_problem(graph, budget_bytes, streams=streams, compute_cores=compute_cores))


def test_every_refusal_has_its_reason() -> None:
    found = explained(100)
    assert found.runs == {"large": "never", "loose": "never", "other": "never", "source": "loaded", "tied": "never"}
    reasons = {name: {(row.choice, row.reason) for row in rows} for name, rows in found.refused.items()}
    assert ("loaded", "does not fit") in reasons["large"]
    assert ("any link", "no skill") in reasons["large"]
    assert ("loaded", "costs more than it brings") in reasons["loose"]
    assert ("link from source", "no skill") in reasons["loose"]
    assert ("link from other", "its source does not run") in reasons["loose"]
    assert reasons["source"] == {("not loaded", "costs more than it brings")}
    assert ("constant", "no skill") in reasons["tied"]
    assert ("trusted", "not trusted") in reasons["tied"]
    assert ("trusted", "not trusted") not in reasons["loose"]


def test_what_a_choice_brings_and_loses_is_what_the_promise_says() -> None:
    found = explained(100)
    row = next(row for row in found.refused["loose"] if row.choice == "loaded")
    served = found.plan.served
    assert row.brings == pytest.approx((1.0 - served["loose"].expected_agreement) / 5)
    assert row.loses is not None and row.loses > 0.1
    assert "source would be never" in row.text and "in all" in row.text
    assert all(row.loses >= 0 for rows in found.refused.values() for row in rows if row.loses is not None)
    assert found.value == pytest.approx(found.plan.expected_agreement)


def test_other_budgets_of_memory_and_compute_are_compared() -> None:
    less, more, slower, faster = explained(102, 0.05).budgets
    assert (less.budget_bytes, more.budget_bytes) == (92, 112)
    assert less.gains == pytest.approx(0.0, abs=1e-6) and "the same models" in less.text
    assert more.gains is not None and more.gains >= 0
    assert slower.gains is not None and faster.gains is not None and slower.gains <= 0 <= faster.gains
    assert (slower.compute_cores, faster.compute_cores) == pytest.approx((0.045, 0.055))
    none, _ = explained(52).budgets
    assert none.gains is None
    assert "holds no model" in none.text


def test_plan_explains_itself_on_the_command_line(training: LinksTraining, capsys: pytest.CaptureFixture[str]) -> None:
    plan_command(training.folder, "50%", compute="0.02 cores", streams=3, explain=True)
    out = capsys.readouterr().out
    for part in ("why not otherwise", "what if", "-10% memory", "+10% compute", "other memory", "more streams"):
        assert part in out
    plan_command(training.folder, "50%", compute="0.02 cores", streams=3, explain=True, as_json=True)
    plan = json.loads(capsys.readouterr().out)
    found = plan["explanation"]
    assert set(found["runs"]) == set(plan["served"])
    assert len(found["budgets"]) == 4
    assert {pair["stream"] for pair in plan["pairs"]} == {"stream 1", "stream 2", "stream 3"}
    assert set(plan["what_if"]) == {"memory", "compute", "streams"}
    assert plan["used_cores"] <= plan["compute_cores"] + 1e-6
    for name, rows in found["refused"].items():
        other = "not loaded" if found["runs"][name] == "loaded" else "loaded"
        assert other in {row["choice"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"streams": 2, "camera": ["gate"]}, "--streams N .* or --camera NAME"),
        ({"streams": 0}, "--streams 0"),
        ({"rate": 0.0}, "--rate 0"),
        ({"compute": "many"}, "all"),
    ],
    ids=["both", "no-streams", "no-inputs", "no-number"],
)
def test_a_flag_that_makes_no_sense_is_named(training: LinksTraining, arguments: dict[str, object], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        plan_command(training.folder, "50%", **arguments)  # type: ignore[arg-type]


def test_weights_of_the_command_line_reach_the_plan(
    training: LinksTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("people", "vehicles"):
        plan_command(training.folder, "60%", weight=[f"{name}=1000"], as_json=True)
        plan = json.loads(capsys.readouterr().out)
        assert plan["expected_agreement"] == pytest.approx(plan["served"][name]["expected_agreement"], abs=0.01)
        assert plan["expected_agreement"] > 0.95
    with pytest.raises(InvalidInput, match="nobody"):
        plan_command(training.folder, "50%", weight=["nobody=2"])


@pytest.mark.parametrize("text", ["person", "person=", "person=much", "=2", "person=-1", "person=inf", "person=nan"])
def test_a_weight_is_a_name_and_a_figure(text: str) -> None:
    with pytest.raises(InvalidInput, match="person=2"):
        parse_weights([text])


def test_weights_are_shares_of_the_objective() -> None:
    assert parse_weights(["a=2", "b=c=0.5"]) == {"a": 2.0, "b=c": 0.5}
    assert shares(("a", "b"), {"a": 3.0}).tolist() == [0.75, 0.25]
    with pytest.raises(InvalidInput, match="already"):
        parse_weights(["a=2", "a=3"])
    with pytest.raises(InvalidInput, match="not all 0"):
        shares(("a",), {"a": 0.0})
