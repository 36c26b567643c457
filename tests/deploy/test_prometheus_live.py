"""Every query of the dashboard and the alerts, asked of a real Prometheus: after a good hour, in a bad one, right after
a start, and while it scrapes the real program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import time
from typing import Any, NamedTuple

import pytest
from biot_sidecar.telemetry.metrics import Metrics

from tests.deploy.programs import call, sidecar, simulator
from tests.deploy.prometheus_server import Prometheus, Result, history, prometheus
from tests.deploy.test_prometheus import DASHBOARD_QUERIES, PANELS, RULES, SCRAPING, resolved
from tests.support import wants
from tests.support.finished import exchange, observed, refused
from tests.support.ports import free_port
from tests.telemetry.reading import new_metrics, samples

pytestmark = [pytest.mark.e2e, pytest.mark.slow, wants.needs("prometheus", "promtool")]

STEP = 60.0
HOUR = 60
"""Scrapes in an hour."""
NOW = time() - 300
"""When the hours end that were; the store has them, and what is scraped now comes after them."""


def good_minute(metrics: Metrics, minute: int) -> None:
    for _ in range(30):
        metrics.finished(exchange(0.012, interception="set", request_bytes=100, response_bytes=900))
    if minute == 0:
        metrics.login_finished("success", "start", 0.2)
        metrics.connected(True)
        metrics.clock_compared(0.4)
        metrics.token_obtained(NOW + 900)
        metrics.secret_key_found(NOW + 90 * 86400, 1)


def bad_minute(metrics: Metrics, minute: int) -> None:
    good_minute(metrics, minute)
    for _ in range(15):
        metrics.finished(exchange(29.0, status=502, upstream_status=502, retries=("status",), cut=True))
        late = exchange(12.0, token_result="wait", token_wait=12.0, upstream_seconds=0.01, verdict=observed())
        metrics.finished(late)
    for reason in ("overload", "loop", "host", "draining"):
        metrics.finished(refused(reason))
    for _ in range(2):
        metrics.finished(refused("deny"))
        metrics.finished(exchange(0.1, status=503, token_result="fail", tries=0))
    metrics.login_finished("timeout", "string", 10.0)
    metrics.login_finished("success", "token_not_valid", 12.0)
    for _ in range(2):
        metrics.connected(False)
    metrics.disconnected("error")
    metrics.reloaded(False)
    metrics.worker_restarted("exit")
    metrics.descriptors_short()
    metrics.lines_dropped = lambda lost=minute: lost
    metrics.blocked_until(NOW + 600)
    metrics.clock_compared(-90.0)
    metrics.secret_key_found(NOW + 3600, 2)


def lived(minutes: int, minute: Callable[[Metrics, int], None], instance: str, *, before: float = 7200.0) -> str:
    """The history of a sidecar that was seen first so many minutes before NOW, and began `before` seconds ago."""
    metrics = new_metrics()
    metrics.routes(["a rule"])
    scrapes: dict[float, Any] = {}
    also = {"up": 1.0, "process_start_time_seconds": NOW - before}
    for number in range(minutes):
        minute(metrics, number)
        at = NOW - (minutes - 1 - number) * STEP
        scrapes[at] = {**samples(metrics), **{(name, frozenset()): Gauge(value) for name, value in also.items()}}
    return history(scrapes, job="biot-sidecar", instance=instance)


class Gauge(NamedTuple):
    value: float


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It knows a `good` hour, a `bad` one and one scrape of a `new` sidecar, and scrapes the real program as `real`."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    with simulator(folder) as biot, sidecar(folder, biot, SIDECAR_ADMIN_LISTEN=f"127.0.0.1:{port}") as url:
        for _ in range(3):
            call("GET", f"{url}/organization/v1/users/patients/11111111-1111-1111-1111-111111111111")
        (job,) = SCRAPING["scrape_configs"]
        target = {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": "real"}}
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{**job, "static_configs": [target]}],
        }
        histories = [
            lived(HOUR, good_minute, "good"),
            lived(HOUR, bad_minute, "bad"),
            lived(1, good_minute, "new", before=9.0),
        ]
        # An hour that was wholly idle, too.
        histories.append(lived(HOUR, lambda metrics, minute: None, "idle"))
        with prometheus(folder, merged(histories), config) as running:
            running.until('biot_sidecar_build_info{instance="real"}')
            yield running


def merged(histories: list[str]) -> list[str]:
    """Their lines with each metric's together, as OpenMetrics wants."""
    lines = sorted((line for text in histories for line in text.splitlines()), key=lambda line: line.partition("{")[0])
    return [line + "\n" for line in lines]


def asked(text: str, instance: str) -> str:
    text = resolved(text)
    for variable, value in (("$job", ".*"), ("$route", ".*"), ("$instance", instance)):
        text = text.replace(variable, value)
    return text


PANEL_QUERIES = [
    (f"{panel['title']} {place}", target["expr"]) for panel in PANELS for place, target in enumerate(panel["targets"])
]
QUERIES = [
    *PANEL_QUERIES,
    *((title, text) for title, text in DASHBOARD_QUERIES if "label_values" not in text and title == "Routes reloaded"),
]
FIGURES = dict(PANEL_QUERIES)


def shown(server: Prometheus, title: str, instance: str) -> list[float]:
    at = None if instance == "real" else NOW
    return [value for _, value in server.query(asked(FIGURES[title], instance), at)]


# Empty is right where there is nothing to tell.
SILENT_WITHOUT_TROUBLE = {"Routes reloaded", "Would be denied 0"}
QUANTILES = {title for title, text in PANEL_QUERIES if "histogram_quantile" in text}


def nonsense(title: str, told: Result) -> list[float]:
    """Values that no panel should show; a quantile of nothing is NaN, which Grafana leaves out."""
    return [value for _, value in told if math.isinf(value) or (math.isnan(value) and title not in QUANTILES)]


def answers(server: Prometheus, instance: str) -> dict[str, Result]:
    """What every query says of an instance."""
    at = None if instance == "real" else NOW
    return {title: server.query(asked(text, instance), at) for title, text in QUERIES}


def test_after_a_bad_hour_every_query_tells_something_and_no_nonsense(server):
    told = answers(server, "bad")
    assert [title for title, found in told.items() if not found or all(math.isnan(value) for _, value in found)] == []
    assert {title: bad for title, found in told.items() if (bad := nonsense(title, found))} == {}


@pytest.mark.parametrize("instance", ["good", "new", "idle", "real"])
def test_no_query_fails_or_tells_nonsense_in_other_hours(server, instance):
    told = answers(server, instance)
    assert {title: bad for title, found in told.items() if (bad := nonsense(title, found))} == {}
    if instance == "good":
        assert {title for title, found in told.items() if not found} <= SILENT_WITHOUT_TROUBLE


@pytest.mark.parametrize("instance", ["good", "new", "idle", "real"])
def test_where_nothing_failed_the_share_of_errors_is_0_and_not_empty(server, instance):
    assert shown(server, "Errors 0", instance) == [0.0]
    assert shown(server, "Errors 1", instance) == [0.0]


def test_the_share_of_errors_of_a_bad_hour(server):
    assert shown(server, "Errors 0", "bad") == [pytest.approx((15 + 2) / (30 + 30 + 2 + 4 + 2), rel=0.01)]


@pytest.mark.parametrize(("instance", "least", "most"), [("good", 1700, 1830), ("new", 30, 30), ("real", 3, 3)])
def test_calls_per_login_are_sane_in_an_hour_after_a_start_and_right_after_it(server, instance, least, most):
    """The one login came before the first scrape, so Prometheus sees no increase of it."""
    (calls,) = shown(server, "Calls per login 0", instance)
    assert least <= calls <= most


def test_several_sidecars_have_the_calls_per_login_of_each_and_not_their_sum(server):
    (calls,) = shown(server, "Calls per login 0", "good|idle|new")
    assert 590 <= calls <= 620


def test_a_wait_of_12_seconds_is_not_told_as_29(server):
    waited = 'histogram_quantile(0.5, rate(biot_sidecar_token_wait_seconds_bucket{instance="bad"}[10m]))'
    assert 10 < server.query(waited, NOW)[0][1] <= 15
    of_route = 'sum by (le) (rate(biot_sidecar_request_duration_seconds_bucket{instance="bad"}[10m]))'
    twelve, long = (server.query(f"histogram_quantile({share}, {of_route})", NOW)[0][1] for share in (0.65, 0.95))
    assert 10 < twelve <= 12.5
    assert 25 < long <= 30


def test_the_panels_of_key_clock_and_connections_tell_what_is(server):
    assert shown(server, "Clock offset 0", "bad") == [-90.0]
    assert shown(server, "Secret key ends in 0", "bad") == [pytest.approx(3600, abs=1)]
    assert max(shown(server, "Connections closed 0", "bad")) > 0


def firing(server: Prometheus, instance: str) -> set[str]:
    """The alerts whose expression holds at that hour's end, whatever `for` asks."""
    return {rule["alert"] for rule in RULES if of(server.query(rule["expr"], NOW), instance)}


def of(told: Result, instance: str) -> Result:
    return [(labels, value) for labels, value in told if labels.get("instance") == instance]


@pytest.mark.parametrize("instance", ["good", "new", "idle"])
def test_no_alert_holds_in_a_good_hour_an_idle_one_and_right_after_a_start(server, instance):
    assert firing(server, instance) == set()


def test_a_bad_hour_has_the_alerts_of_all_that_is_bad_in_it(server):
    assert {rule["alert"] for rule in RULES} - firing(server, "bad") == {"BiotSidecarDown"}


def test_no_alert_holds_of_the_real_program(server):
    for rule in RULES:
        assert of(server.query(rule["expr"]), "real") == [], rule["alert"]
