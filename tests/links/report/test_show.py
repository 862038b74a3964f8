import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from infilink.links.report.page import write_show_page
from infilink.links.report.show import Matrix, Verdict, age_text, show_links
from infilink.links.table import NEVER, bucket
from infilink.links.training.linkability import LINKABILITY
from infilink.links.training.train import LinksTraining, train_links
from infilink.outputs import Array
from infilink.traces.trace import Trace

from ..given import given

AGE_S = 10.0


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, training: LinksTraining) -> Path:
    """The same links as an earlier version wrote them."""
    folder = tmp_path_factory.mktemp("earlier") / "links"
    shutil.copytree(training.folder, folder)
    (folder / LINKABILITY).unlink()
    return folder


def verdicts(folder: Path, **options: float) -> dict[str, Verdict]:
    return {verdict.target: verdict for verdict in show_links(folder, **options).verdicts}


def test_each_model_gets_a_verdict_with_its_figures(training: LinksTraining) -> None:
    found = verdicts(training.folder, age_s=AGE_S, enough=0.8)
    assert found["scene"].do == "link"
    assert found["scene"].text.startswith("worth linking from ")
    assert "if it never runs" in found["scene"].text
    assert found["people"].do == "run"
    assert found["people"].text.startswith("needs to be run: what did best before, ")
    for verdict in found.values():
        assert verdict.interval is not None and verdict.runs is not None and verdict.inputs is not None
        assert verdict.interval[0] <= verdict.agreement <= verdict.interval[1]
        assert 1 <= verdict.runs <= verdict.inputs
        assert f"{verdict.inputs} inputs, {verdict.runs:.0f} runs" in verdict.text
        assert ("not sure" in verdict.text) is not verdict.sure
        assert "certified " in verdict.text


def test_what_is_enough_decides_who_needs_to_run(training: LinksTraining) -> None:
    assert all(verdict.do != "run" for verdict in verdicts(training.folder, enough=0.01).values())
    strict = verdicts(training.folder, enough=1.0)
    assert {name for name, verdict in strict.items() if verdict.agreement < 1} == {
        name for name, verdict in strict.items() if verdict.do == "run"
    }


def test_the_best_sources_come_first(training: LinksTraining) -> None:
    predicts = show_links(training.folder).predicts
    assert list(predicts.values()) == sorted(predicts.values(), reverse=True)
    assert predicts["vehicles"] > predicts["people"]


def test_links_of_an_earlier_version_show_what_they_know(earlier: Path, training: LinksTraining) -> None:
    old, new = show_links(earlier), show_links(training.folder)
    assert "train them again (`infilink train links`)" in old.missing
    assert new.missing == ""
    assert [verdict.do for verdict in old.verdicts] == [verdict.do for verdict in new.verdicts]
    assert [verdict.agreement for verdict in old.verdicts] == pytest.approx(
        [verdict.agreement for verdict in new.verdicts], abs=1e-5
    )
    assert all(not verdict.sure and verdict.interval is None for verdict in old.verdicts)
    assert all("how sure that is was not kept" in verdict.text for verdict in old.verdicts)
    cells = [cell for row in Matrix.of(old.targets, NEVER).rows.values() for cell in row]
    assert any(cell is None for cell in cells) and any(cell is not None for cell in cells)


def test_the_matrix_has_a_row_and_a_column_for_each(training: LinksTraining) -> None:
    targets = show_links(training.folder).targets
    never, aged = Matrix.of(targets, NEVER), Matrix.of(targets, bucket(AGE_S))
    assert never.columns == (*targets, "all others", "constant")
    assert aged.columns == (*targets, "all others", "held", "constant")
    for i, name in enumerate(targets):
        assert never.rows[name][i] == targets[name].itself[NEVER]
        assert aged.rows[name][i] == targets[name].itself[bucket(AGE_S)]
    for matrix in (never, aged):
        assert all(len(row) == len(matrix.columns) for row in matrix.rows.values())
        assert matrix.table("title").row_count == len(targets)


@pytest.mark.parametrize("which", ["training", "earlier"])
def test_the_command_prints_and_writes_a_page(
    which: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = request.getfixturevalue(which)
    folder = folder if which == "earlier" else folder.folder
    page = tmp_path / "links.html"
    words = ["links", "show", str(folder), "--out", str(page)]
    build_app(words)(words, standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "people needs to be run" in said
    assert "8 to 16 s old" in said
    assert ("train them again" in said) is (which == "earlier")
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "needs to be run" in text
    assert "<script" not in text and " src=" not in text


def test_json_has_every_figure(training: LinksTraining, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["links", "show", str(training.folder), "--json", "--age", "3"]
    build_app(words)(words, standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert set(told["targets"]["scene"]["sources"]) == {"people", "standing", "vehicles"}
    assert told["targets"]["scene"]["others"][NEVER]["inputs"] > 0
    assert [each["target"] for each in told["verdicts"]] == list(told["targets"])


def test_a_model_that_never_changes_needs_no_link(tmp_path: Path, new_trace: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Array]] = [
        {"flag": np.asarray([0.9, 0.1], np.float32), "count": np.asarray([rng.integers(0, 3)], np.float32)}
        for _ in range(80)
    ]
    outputs = {"flag": {"kind": "label", "classes": ["no", "yes"]}, "count": {"kind": "count"}}
    with Trace(new_trace(tmp_path / "flat.trace", rows, outputs)) as trace:
        train_links(trace, out=tmp_path / "links", fit=given({}))
    shown = show_links(tmp_path / "links", enough=0.8)
    flag = next(verdict for verdict in shown.verdicts if verdict.target == "flag")
    assert flag.do in ("hold", "constant") and flag.agreement == 1.0
    write_show_page(shown, tmp_path / "page.html")
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_ages_have_words() -> None:
    assert [age_text(index) for index in (0, 4, NEVER - 1, NEVER)] == [
        "under 1 s",
        "8 to 16 s",
        "over 64 s",
        "never ran",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "is damaged"), ('{"format": 9}', "of format 9"), ('{"format": 1, "targets": {"a": {}}}', "is damaged")],
)
def test_damage_is_told_of(earlier: Path, tmp_path: Path, content: str, complaint: str) -> None:
    folder = tmp_path / "links"
    shutil.copytree(earlier, folder)
    (folder / LINKABILITY).write_text(content)
    with pytest.raises(InvalidInput, match=complaint):
        show_links(folder)


@pytest.mark.parametrize("options", [{"age_s": -1.0}, {"age_s": math.inf}, {"enough": 0.0}, {"enough": 1.5}])
def test_options_that_make_no_sense_are_refused(training: LinksTraining, options: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        show_links(training.folder, **options)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a folder of links"):
        show_links(tmp_path)
