"""Series of a route that is gone stay for ten minutes and one scrape; one that is back by then keeps its counts."""

from __future__ import annotations

import pytest
from biot_sidecar.telemetry.metrics import Metrics
from biot_sidecar.telemetry.series_expiry import RETENTION
from biot_sidecar.telemetry.snapshot import drop_routes, ended_totals, merge_snapshots

from tests.support.fakes import Clock
from tests.support.finished import exchange, verdict


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


def worker(clock: Clock, *names: str) -> Metrics:
    metrics = Metrics(version="1", python="3", clock=clock)
    metrics.routes(names)
    for name in names:
        metrics.finished(exchange(verdict=verdict(name)))
    return metrics


def scrape(*processes: Metrics, lost: tuple[bytes, ...] = ()) -> dict[str, int]:
    """Requests by route, as a scrape shows them."""
    for one in processes:
        one.scrape()
    return shown(*processes, lost=lost)


def shown(*processes: Metrics, lost: tuple[bytes, ...] = ()) -> dict[str, int]:
    routes = merge_snapshots([*lost, *(one.snapshot() for one in processes)]).routes
    return {name: sum(route.requests.values()) for name, route in routes.items() if name != "unmatched"}


def test_a_gone_route_stays_ten_minutes_and_one_scrape(clock):
    metrics = worker(clock, "old", "kept")
    metrics.routes(["kept", "new"])
    for _ in range(3):
        clock.now += RETENTION / 3 - 1
        assert scrape(metrics) == {"old": 1, "kept": 1, "new": 0}
    clock.now += 3
    assert shown(metrics) == {"old": 1, "kept": 1, "new": 0}  # for the status page
    assert scrape(metrics) == {"old": 1, "kept": 1, "new": 0}
    assert scrape(metrics) == {"kept": 1, "new": 0}


def test_a_route_that_comes_back_keeps_its_counts(clock):
    metrics = worker(clock, "old")
    metrics.routes([])
    clock.now += 2 * RETENTION
    assert scrape(metrics) == {"old": 1}
    metrics.routes(["old"])
    clock.now += 2 * RETENTION
    assert scrape(metrics) == scrape(metrics) == {"old": 1}


def test_a_route_that_comes_back_late_counts_anew(clock):
    metrics = worker(clock, "old")
    metrics.routes([])
    clock.now += RETENTION
    scrape(metrics)
    assert scrape(metrics) == {}
    metrics.routes(["old"])
    assert scrape(metrics) == {"old": 0}


def test_a_request_that_outlives_its_routes_series_brings_them_back_for_as_long(clock):
    metrics = worker(clock, "old")
    metrics.routes([])
    clock.now += RETENTION
    scrape(metrics)
    assert scrape(metrics) == {}
    metrics.finished(exchange(verdict=verdict("old")))
    assert scrape(metrics) == {"old": 1}
    clock.now += RETENTION
    assert scrape(metrics) == {"old": 1}
    assert scrape(metrics) == {}


def test_of_several_workers_none_shows_what_one_has_dropped(clock):
    """They read the file seconds apart; a sum that lost a part would look like a counter set back."""
    one, two = worker(clock, "old"), worker(clock, "old")
    one.routes([])
    clock.now += 2
    two.routes([])
    clock.now += RETENTION - 2
    assert scrape(one, two) == {"old": 2}
    assert scrape(one, two) == {}
    clock.now += 2
    assert scrape(one, two) == scrape(one, two) == {}


def test_what_lost_workers_counted_goes_with_its_route(clock):
    lost, living = ended_totals([worker(clock, "old").snapshot()]), worker(clock, "old")
    assert scrape(living, lost=(lost,)) == {"old": 2}
    living.routes([])
    clock.now += RETENTION
    assert scrape(living, lost=(lost,)) == {"old": 2}
    assert scrape(living, lost=(lost,)) == {}
    lost = drop_routes(lost, [living.snapshot()])
    clock.now += 2 * RETENTION
    assert scrape(living, lost=(lost,)) == {}


def test_reloads_without_end_leave_no_more_series_than_routes(clock):
    metrics = Metrics(version="1", python="3", clock=clock)
    for number in range(60):
        metrics.routes([f"{number}-{n}" for n in range(10)])
        clock.now += RETENTION
        scrape(metrics)
    assert len(scrape(metrics)) <= 20
