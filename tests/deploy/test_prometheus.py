"""Alerts and dashboard stand on metrics, labels and label values that the sidecar really has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from biot_sidecar.telemetry import snapshot as state

from tests.deploy.promql import NotPromQL, Query, Selector, read
from tests.support import wants
from tests.support.finished import exchange, refused
from tests.telemetry.reading import new_metrics, samples

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
SCRAPING = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PROMTOOL = wants.found("promtool")

TARGET_LABELS = {"job", "instance"}
(SCRAPED,) = SCRAPING["scrape_configs"]
OF_PROMETHEUS = {"up": {"job": {SCRAPED["job_name"]}, "instance": set()}, "ALERTS": {}}
FUNCTIONS = {
    "abs", "clamp_min", "count", "histogram_quantile", "increase", "label_values", "max", "min", "rate", "sum", "time",
    "topk", "vector",
}  # fmt: skip


def real_series() -> dict[str, dict[str, set[str]]]:
    """Every metric that a sidecar shows after a little of everything: its labels and their values."""
    metrics = new_metrics()
    metrics.secret_key_found(1_700_000_060.0, 1)
    metrics.clock_compared(0.5)
    for status in (200, 404, 502):
        metrics.finished(exchange(status=status, interception="set"))
    metrics.observing(["a stricter rule"])
    for reason in state.REFUSALS:
        metrics.finished(refused(reason))
    series: dict[str, dict[str, set[str]]] = dict(OF_PROMETHEUS)
    for name, labels in samples(metrics):
        known = series.setdefault(name, {label: set() for label in TARGET_LABELS})
        for label, value in labels:
            known.setdefault(label, set()).add(value)
    return series


SERIES = real_series()


def problems(query: Query, text: str) -> Iterator[str]:
    """What the query asks of the sidecar that it does not have."""
    if not query.selectors:
        yield f"no metric in {text}"
    for selector in query.selectors:
        if selector.metric in SERIES:
            yield from matcher_problems(selector)
        else:
            yield f"no metric {selector.metric}"
    known = {label for selector in query.selectors for label in SERIES.get(selector.metric, {})}
    yield from (f"no label {label} in {text}" for label in query.grouping - known - TARGET_LABELS)
    yield from (f"no function {name}" for name in query.functions - FUNCTIONS)


def matcher_problems(selector: Selector) -> Iterator[str]:
    labels = SERIES[selector.metric]
    for label, operator, wanted in selector.matchers:
        if label not in labels:
            yield f"{selector.metric} has no label {label}"
        elif not wanted.startswith("$") and not any(matches(operator, wanted, value) for value in labels[label]):
            yield f"{selector.metric} has no {label}{operator}{wanted}"


def matches(operator: str, wanted: str, value: str) -> bool:
    """True when the words of the matcher name that value, whether to have it or to leave it out."""
    return bool(re.fullmatch(wanted, value)) if "~" in operator else wanted == value


def resolved(expression: str) -> str:
    """The expression with Grafana's intervals filled in."""
    return expression.replace("$__rate_interval", "5m").replace("$__range_s", "3600").replace("$__range", "1h")


DASHBOARD_QUERIES = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((one["name"], one["expr"]) for one in DASHBOARD["annotations"]["list"]),
    *((one["name"], one["definition"]) for one in DASHBOARD["templating"]["list"] if one["type"] == "query"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_stands_on_what_the_sidecar_has(rule):
    assert list(problems(read(rule["expr"]), rule["expr"])) == []


@pytest.mark.parametrize(("title", "expression"), DASHBOARD_QUERIES)
def test_a_panel_stands_on_what_the_sidecar_has(title, expression):
    text = resolved(expression)
    query = read(text)
    if query.functions == {"label_values"}:  # Grafana's own: its second argument is a label
        metric, label = query.selectors
        assert list(problems(Query([metric]), text)) == []
        assert label.metric in SERIES[metric.metric]
        return
    assert list(problems(query, text)) == []


@pytest.mark.parametrize(
    "broken",
    [
        "biot_sidecar_reqests_total",
        'biot_sidecar_requests_total{code="200"}',
        'biot_sidecar_refused_total{reason="tired"}',
        'biot_sidecar_refused_total{reason=~"tired|bored"}',
        "sum by (rule) (biot_sidecar_requests_total)",
        "averag(biot_sidecar_requests_total)",
        "1 > 0",
    ],
)
def test_a_query_that_stands_on_nothing_would_be_found(broken):
    assert list(problems(read(broken), broken)) != []


@pytest.mark.parametrize("broken", ["sum(x", "x{a=}", "x{a", "x ; y", "sum by (a (x)"])
def test_what_is_no_query_would_be_found(broken):
    with pytest.raises(NotPromQL):
        read(broken)


# ---- alerts


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_which_sidecar_it_is(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    words = " ".join(rule["annotations"].values())
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    labels = set(re.findall(r"\$labels\.(\w+)", words))
    query = read(rule["expr"])
    assert labels <= TARGET_LABELS | (
        query.grouping or {label for one in query.selectors for label in SERIES[one.metric]}
    )


def test_every_alert_has_a_name_of_its_own():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_the_four_golden_signals_and_the_sidecars_own_troubles_are_watched():
    watched = {
        selector.metric.removeprefix("biot_sidecar_") for rule in RULES for selector in read(rule["expr"]).selectors
    }
    assert watched >= {
        "up",
        "requests_total",
        "upstream_request_duration_seconds_bucket",
        "overhead_seconds_bucket",
        "refused_total",
        "logins_total",
        "login_blocked_until_timestamp_seconds",
        "config_last_reload_successful",
        "upstream_connects_total",
    }


def test_prometheus_scrapes_the_sidecar_of_the_compose_file_and_reads_the_alerts():
    (job,) = SCRAPING["scrape_configs"]
    service, port = job["static_configs"][0]["targets"][0].split(":")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"][service]["environment"]["SIDECAR_ADMIN_LISTEN"].endswith(":" + port)
    assert [PROMETHEUS / name for name in SCRAPING["rule_files"]] == [PROMETHEUS / "alerts.yml"]


@wants.needs("promtool")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", str(PROMETHEUS / "prometheus.yml")],
        ["check", "rules", str(PROMETHEUS / "alerts.yml")],
        ["test", "rules", str(ROOT / "tests" / "deploy" / "prometheus_alerts.yml")],
    ],
    ids=" ".join,
)
def test_promtool_agrees(arguments):
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@wants.needs("promtool")
def test_promtool_takes_every_query_of_the_dashboard(tmp_path):
    queries = [resolved(text) for _, text in DASHBOARD_QUERIES if not text.startswith("label_values")]
    recorded = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@wants.needs("promtool")
def test_promtool_finds_nothing_to_say_about_the_metrics_themselves():
    from biot_sidecar.telemetry.exposition import render

    metrics = new_metrics()
    metrics.finished(exchange())
    _, page = render([metrics.snapshot()], "")
    done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert b"biot_sidecar" not in done.stdout + done.stderr, done.stderr


# ---- dashboard

# One sidecar, minute by minute since its start: nothing has failed, and its one login came before the first scrape.
CALM = {
    'biot_sidecar_requests_total{job="j", instance="a", route="r", status="200"}': "0+60x20",
    'biot_sidecar_token_requests_total{job="j", instance="a", result="hit"}': "0+60x20",
    'biot_sidecar_logins_total{job="j", instance="a", outcome="success", reason="start"}': "1x20",
}


@wants.needs("promtool")
@pytest.mark.parametrize(
    ("title", "place", "shown"), [("Errors", 0, 0), ("Errors", 1, 0), ("Calls per login", 0, 1200)]
)
def test_a_panel_shows_a_figure_before_anything_went_wrong(title, place, shown, tmp_path):
    (panel,) = [panel for panel in PANELS if panel["title"] == title]
    query = resolved(panel["targets"][place]["expr"])
    for variable in ("job", "instance", "route"):
        query = query.replace(f"${variable}", ".*")
    series = [{"series": name, "values": values} for name, values in CALM.items()]
    wanted = {"expr": f"round({query})", "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": shown}]}
    file = tmp_path / "test.yml"
    file.write_text(
        yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [wanted]}]})
    )
    done = subprocess.run([str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_only_labels_that_its_query_keeps(panel):
    for target in panel["targets"]:
        query = read(resolved(target["expr"]))
        kept = query.grouping if query.functions & {"sum", "min", "max", "count"} else TARGET_LABELS
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_reads_the_chosen_data_source_and_has_a_unit(panel):
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_shows_the_chosen_sidecars_only(panel):
    for target in panel["targets"]:
        for selector in read(resolved(target["expr"])).selectors:
            assert ("job", "=~", "$job") in selector.matchers
            assert ("instance", "=~", "$instance") in selector.matchers


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not taken & cells, panel["title"]
        assert grid["x"] + grid["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_shows_every_metric_of_our_own():
    shown = {selector.metric for _, text in DASHBOARD_QUERIES for selector in read(resolved(text)).selectors}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in SERIES if name.startswith("biot_sidecar_")}
    assert ours - families == set()
