import json

import pytest
from infilink.errors import InvalidInput
from infilink.links.cli import plan_command
from infilink.links.planning.explanation import explain_plan
from infilink.links.planning.options import PlanOptions
from infilink.links.planning.planner import plan_problem
from infilink.links.planning.weights import parse_weights, shares
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.links.training.train import LinksTraining
from infilink.models.cost import ModelCost


def flat(value: float, count: int, threshold: float | None = None) -> tuple[Measured, ...]:
    return (Measured(value, value, threshold),) * count


# "large" never fits. "source" predicts "tied" well and "loose" badly; "other" would predict "loose", but does not run.
COSTS = {
    "large": ModelCost(1000, 0.1, 0.1),
    "loose": ModelCost(60, 0.1, 1e6),
    "other": ModelCost(70, 0.1, 1e6),
    "source": ModelCost(50, 0.1, 1e6),
    "tied": ModelCost(60, 0.1, 1e6),
}
TABLES = {
    "large": Table(Measured(0.6, 0.6, 0.0), flat(0.6, NEVER)),
    "loose": Table(
        Measured(0.6, 0.6, 0.0),
        flat(0.6, NEVER),
        {("source",): flat(0.605, BUCKETS), ("other",): flat(0.7, BUCKETS)},
    ),
    "other": Table(Measured(0.7, 0.7, 0.0), flat(0.7, NEVER)),
    "source": Table(Measured(0.1, 0.1), flat(0.1, NEVER)),
    "tied": Table(Measured(0.3, 0.3), flat(0.3, NEVER), {("source",): flat(0.95, BUCKETS)}),
}


def test_every_refusal_has_its_reason() -> None:
    explained = explain_plan(plan_problem(COSTS, TABLES, 100, options=PlanOptions(audit_gain=0.0)), COSTS)
    assert explained.runs == {
        "large": "never",
        "loose": "never",
        "other": "never",
        "source": "always",
        "tied": "never",
    }
    reasons = {
        name: {(row.choice, row.reason) for row in rows if row.choice != "in turn"}
        for name, rows in explained.refused.items()
    }
    assert ("always", "does not fit") in reasons["large"]
    assert ("any link", "no skill") in reasons["large"]
    assert ("always", "costs more than it brings") in reasons["loose"]
    assert ("link from source", "no skill") in reasons["loose"]
    assert ("link from other", "its source does not run") in reasons["loose"]
    assert reasons["source"] == {("never", "costs more than it brings")}
    assert ("constant", "no skill") in reasons["tied"]
    assert ("trusted", "not trusted") in reasons["tied"]
    assert ("trusted", "not trusted") not in reasons["loose"]


def test_what_a_choice_brings_and_loses_is_what_the_tables_say() -> None:
    explained = explain_plan(plan_problem(COSTS, TABLES, 100, options=PlanOptions(audit_gain=0.0)), COSTS)
    row = next(row for row in explained.refused["loose"] if row.choice == "always")
    # It gains 0.4 of itself; without its source "tied" falls from 0.95 to 0.3 and "source" from 1 to 0.1.
    assert row.brings == pytest.approx(0.4 / 5)
    assert row.loses == pytest.approx((0.65 + 0.9 - 0.4) / 5)
    assert "source would run never" in row.text
    assert "+0.0800 for its own answers, -0.3100 for the rest, -0.2300 in all" in row.text
    assert all(row.loses >= 0 for rows in explained.refused.values() for row in rows if row.loses is not None)


def test_other_budgets_are_compared() -> None:
    less, more = explain_plan(plan_problem(COSTS, TABLES, 102, options=PlanOptions(audit_gain=0.0)), COSTS).budgets
    assert (less.budget_bytes, more.budget_bytes) == (92, 112)
    assert less.gains == pytest.approx(0.0)
    assert "same models" in less.text
    # 50 + 60 bytes: now "loose" fits beside "source".
    assert more.gains == pytest.approx(0.4 / 5)
    assert "loose would run always" in more.text
    none, _ = explain_plan(plan_problem(COSTS, TABLES, 52, options=PlanOptions(audit_gain=0.0)), COSTS).budgets
    assert none.gains is None
    assert "holds no model" in none.text


def test_plan_explains_itself_on_the_command_line(training: LinksTraining, capsys: pytest.CaptureFixture[str]) -> None:
    plan_command(training.folder, "50%", explain=True)
    out = capsys.readouterr().out
    for part in ("why not otherwise", "what if", "-10% memory", "+10% memory", "other budgets"):
        assert part in out
    plan_command(training.folder, "50%", explain=True, as_json=True)
    plan = json.loads(capsys.readouterr().out)
    explained = plan["explanation"]
    assert set(explained["runs"]) == set(plan["served"])
    assert len(explained["budgets"]) == 2
    for name, rows in explained["refused"].items():
        ways = {row["choice"] for row in rows} & {"always", "in turn", "never"}
        assert ways == {"always", "in turn", "never"} - {explained["runs"][name]}


def test_weights_of_the_command_line_reach_the_plan(
    training: LinksTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    agreements = {}
    for name in ("people", "vehicles"):
        plan_command(training.folder, "60%", weight=[f"{name}=1000"], as_json=True)
        plan = json.loads(capsys.readouterr().out)
        agreements[name] = plan["expected_agreement"]
        assert plan["expected_agreement"] == pytest.approx(plan["served"][name]["expected_agreement"], abs=0.01)
    assert min(agreements.values()) > 0.95
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
