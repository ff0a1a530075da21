"""The rules and dashboards that we ship: what the programs that read them say, and whether what they name is there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import needs

PROJECT = Path(__file__).resolve().parents[2]
PROMETHEUS = PROJECT / "deploy" / "prometheus"
GRAFANA = PROJECT / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
SOURCE = {"type": "prometheus", "uid": "prometheus"}


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())  # JSON is YAML
    return loaded


def anchors(path: Path) -> set[str]:
    """Return what the headings of a Markdown page are linked as."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@needs("promtool")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "deploy/prometheus/prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "deploy/prometheus/rules.yml"),
        ("test", "rules", "tests/contract/prometheus_rules.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    said = subprocess.run(["promtool", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_says_what_to_do_about_it() -> None:
    rules = [rule for group in read(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]
    objectives = {rule["labels"]["slo"] for rule in rules if rule.get("record") == "footnote:slo_budget"}
    alerts = [rule for rule in rules if "alert" in rule]
    assert len(objectives) == 3
    assert alerts
    known = anchors(PROJECT / "docs" / "troubleshooting.md")
    for alert in alerts:
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert page == "docs/troubleshooting.md"
        assert alert["labels"]["severity"] in {"page", "ticket"}
        wanted = objectives if anchor == "{{ $labels.slo }}" else {anchor}
        assert wanted <= known, alert["alert"]


def test_every_dashboard_is_provisioned_from_a_source_that_is_there() -> None:
    source = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"][0]
    provider = read(GRAFANA / "provisioning" / "dashboards" / "footnote.yaml")["providers"][0]
    composed = read(PROJECT / "deploy" / "compose.yaml")["services"]
    mounted = {volume.split(":")[1] for volume in composed["grafana"]["volumes"]}
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in composed
    assert provider["options"]["path"] in mounted
    assert {path.stem for path in DASHBOARDS} >= {"overview", "quality", "performance", "ingestion", "slack"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_ask_the_source(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"] == f"footnote-{path.stem}"
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["targets"]
        assert all(target["datasource"] == SOURCE and target["expr"] for target in panel["targets"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
