"""The files of examples/deploy: they parse, name only what exists, and watch only figures that there are."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from infilink.cloud import scrape
from infilink.cloud.config import load_config
from infilink.cloud.coordinator import Coordinator
from infilink.protos import edge_pb2
from prometheus_client.parser import text_string_to_metric_families

from .messages import hello

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def read_yaml(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def queries() -> dict[str, str]:
    """Every query of the dashboard and of the alerts, by where it stands."""
    found = {}
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "infilink.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in board["templating"]["list"]:
        if "definition" in variable:
            found[variable["name"]] = variable["definition"]
    for annotation in board["annotations"]["list"]:
        found[annotation["name"]] = annotation["expr"]
    for rule in read_yaml("prometheus/alerts.yml")["groups"][0]["rules"]:
        found[rule["alert"]] = rule["expr"]
    return found


@pytest.fixture
def figures(serve: Callable) -> dict[str, set[str]]:
    """Every series that a coordinator gives once all that it counts has happened, with its labels."""
    found: dict[str, set[str]] = {}

    async def story(coordinator: Coordinator) -> None:
        scrape.read_status(coordinator)
        metrics = coordinator.metrics
        metrics.ran("bright", waits_s=[0.1], took_s=0.1)
        metrics.answered("bright", "executed")
        metrics.refused("deadline")
        metrics.request("grpc", "ModelInfer", "OK")
        metrics.received("edge", 1)
        metrics.sent("edge", 1)
        metrics.load_failed("bright")
        metrics.unloaded("bright", "room")
        metrics.event("connected")
        metrics.audited("bright", 1.0)
        session = coordinator.open_session(hello())
        session.take_report(edge_pb2.Report(frames=10, kept=2, audit_error=0.1))
        page, _ = await scrape.render(coordinator)
        for family in text_string_to_metric_families(page.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)

    serve(story)
    return found


def test_dashboard_and_alerts_ask_for_figures_and_labels_that_there_are(figures: dict[str, set[str]]) -> None:
    given = {"instance", "job", "__rate_interval"}
    for place, query in queries().items():
        used = re.findall(r"\b((?:infilink|process)_\w+)(?:\{([^}]*)\})?", query)
        assert used or query.startswith("up{"), place
        labels: set[str] = set()
        for name, matchers in used:
            assert name in figures, f"{place}: there is no {name}"
            asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
            assert asked <= figures[name] | given, f"{place}: {name} has no label {asked - figures[name] - given}"
            labels |= figures[name]
        for grouped in re.findall(r"\b(?:by|ignoring) \(([^)]*)\)", query):
            names = {each.strip() for each in grouped.split(",")}
            assert names <= labels | given, f"{place}: no label {names - labels - given}"
        assert query.count("(") == query.count(")") and query.count("{") == query.count("}"), place


def test_panels_stand_beside_each_other_and_have_their_own_numbers() -> None:
    panels = json.loads((DEPLOY / "grafana" / "dashboards" / "infilink.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 25
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24


def test_every_alert_says_how_bad_it_is_and_stands_in_the_operators_page() -> None:
    page = (ROOT / "docs" / "OPERATIONS.md").read_text()
    rules = read_yaml("prometheus/alerts.yml")["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["summary"].endswith(".")
        assert f"`{rule['alert']}`" in page, f"docs/OPERATIONS.md does not tell of {rule['alert']}"


def test_the_compose_file_mounts_what_there_is_or_what_the_page_says_to_make() -> None:
    compose = read_yaml("compose.yaml")
    assert set(compose["services"]) == {"coordinator", "postgres", "mosquitto", "prometheus", "grafana"}
    page = (ROOT / "docs" / "OPERATIONS.md").read_text()
    for name, service in compose["services"].items():
        image = service["image"]
        assert name == "coordinator" or not image.endswith(":latest"), f"{name}: {image} is no one version"
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if not source.startswith("./"):
                assert source in compose["volumes"], f"{name}: {source}"
            elif source.startswith(("./secrets", "./models")):
                assert source.removeprefix("./") in page, (
                    f"{name}: docs/OPERATIONS.md does not say how to make {source}"
                )
            else:
                assert (DEPLOY / source).exists(), f"{name}: {source}"
    told = (DEPLOY / "env.example").read_text()
    for variable in re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()):
        assert f"{variable}=" in told, f"env.example lacks {variable}"


def test_its_coordinator_starts_from_settings_that_are_right() -> None:
    config = load_config(DEPLOY / "cloud.toml")
    compose = read_yaml("compose.yaml")["services"]
    ports = {port.split(":")[-1] for port in compose["coordinator"]["ports"]}
    assert {config.listen.split(":")[-1], config.http_listen.split(":")[-1]} == ports
    scraped = read_yaml("prometheus/prometheus.yml")["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"coordinator:{config.http_listen.split(':')[-1]}"]
    assert scraped["scheme"] == "https" and config.tls_cert is not None and config.tokens is not None
    source = read_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert read_yaml("prometheus/prometheus.yml")["rule_files"] == ["alerts.yml"]


def test_the_image_is_built_in_stages_runs_as_no_root_and_is_asked_for_its_health() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages = [rest.split(" AS ")[1] for step, rest in steps if step == "FROM"]
    assert stages == ["build", "run"]
    last = steps[[step for step, _ in steps].index("FROM", 2) :]
    users = [rest for step, rest in last if step == "USER"]
    assert users and all(not user.startswith(("0", "root")) for user in users)
    assert any(step == "HEALTHCHECK" and "infilink health" in rest for step, rest in last)
    assert not any(step == "COPY" and "--from" not in rest for step, rest in last), (
        "the sources stay in the first stage"
    )
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for pattern in ignored:
        if pattern.startswith("!") and "*" not in pattern:
            assert (ROOT / pattern[1:]).exists(), pattern
    packages = re.findall(r'^    "infilink\.?([\w.]*)",$', (ROOT / "pyproject.toml").read_text(), re.M)
    for package in {each.split(".")[0] for each in packages if each}:
        assert f"!{package}" in ignored, f"{package} is not in the image"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    # What it starts need not be installed here.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/infilink/bin/infilink", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if unit.name.partition("@")[0].partition(".")[0] in line]
    assert not ours, done.stderr
    rated = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", copy]
    done = subprocess.run(rated, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-500:]


def test_units_start_commands_that_there_are() -> None:
    for unit in UNITS:
        command = re.search(r"^ExecStart=/opt/infilink/bin/infilink (\w+) --config", unit.read_text(), re.M)
        assert command is not None and command[1] in ("cloud", "device")
