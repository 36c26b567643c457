"""What /_sidecar/status tells."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from biot_sidecar.routing.route import Authorization, Interception, Retry, Route
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.telemetry.status import status

from tests.support.finished import exchange, refused, verdict
from tests.telemetry.reading import new_metrics


@dataclass
class Record:
    at: float
    reason: str
    outcome: str
    seconds: float
    calls: int = 0


TABLE = RouteTable(
    [
        Route(
            name="a rule",
            source="routes.yaml:7",
            patterns=("PATCH /organization/v1/users/patients/{id}",),
            interception=Interception.ON,
            authorization=Authorization.KEEP,
            timeout=120.0,
            retry=Retry.NONE,
        ),
        Route(name="no keys", source="routes.yaml:9", patterns=("POST /keys",), deny="not for plugins"),
    ],
    Route(name="unmatched", source="routes.yaml:2"),
)
NO_TOKEN = {"state": "none", "obtained": None, "expires": None, "blocked_until": None}
READ = {"at": "2023-11-14T22:13:20.000Z", "error": None}


def page(*metrics, token=None, history=(), reload=READ):
    snapshots = [one.snapshot() for one in metrics or (new_metrics(),)]
    made = status(table=TABLE, snapshots=snapshots, token=token or NO_TOKEN, history=history, reload=reload)
    return json.loads(json.dumps(made))


def test_every_rule_in_force_is_listed_in_the_files_order_with_what_it_does():
    route, denied, unmatched = page()["routes"]
    assert route == {
        "name": "a rule",
        "hits": 0,
        "last_used": None,
        "source": "routes.yaml:7",
        "match": ["PATCH /organization/v1/users/patients/{id}"],
        "interception": "on",
        "authorization": "keep",
        "timeout": 120.0,
        "retry": "none",
        "deny": None,
        "observe": None,
        "would_deny": None,
    }
    assert (denied["name"], denied["deny"]) == ("no keys", "not for plugins")
    assert (unmatched["name"], unmatched["source"]) == ("unmatched", "routes.yaml:2")


def test_hits_count_every_request_of_a_rule_whatever_came_of_it():
    metrics = new_metrics()
    metrics.finished(exchange())
    metrics.finished(exchange(method=b"POST", status=502))
    metrics.finished(refused("deny", verdict=verdict("no keys"), status=403))
    metrics.finished(refused("host"))
    shown = page(metrics)
    assert {route["name"]: route["hits"] for route in shown["routes"]} == {"a rule": 2, "no keys": 1, "unmatched": 1}
    assert shown["routes"][0]["last_used"] == "2023-11-14T22:13:20.000Z"


def test_hits_of_several_processes_add_up():
    one, two = new_metrics(), new_metrics()
    one.finished(exchange(at=1_700_000_100.0))
    two.finished(exchange(at=1_700_000_200.0))
    shown = page(one, two)
    assert shown["routes"][0]["hits"] == 2
    assert shown["routes"][0]["last_used"] == "2023-11-14T22:16:40.000Z"


def test_a_rule_that_is_no_longer_in_force_is_not_listed():
    metrics = new_metrics()
    metrics.finished(exchange(verdict=verdict("gone")))
    assert "gone" not in {route["name"] for route in page(metrics)["routes"]}


def test_the_token_is_told_by_its_times():
    token = {"state": "valid", "obtained": 1_700_000_000.0, "expires": 1_700_000_900.5, "blocked_until": None}
    assert page(token=token)["token"] == {
        "state": "valid",
        "obtained": "2023-11-14T22:13:20.000Z",
        "expires": "2023-11-14T22:28:20.500Z",
    }
    assert page()["token"] == {"state": "none", "obtained": None, "expires": None}


def test_logins_are_told_by_how_they_ended_and_why_they_were_needed():
    metrics = new_metrics()
    metrics.login_finished("success", "start", 0.25)
    metrics.login_finished("success", "string", 0.25)
    metrics.login_finished("locked", "string", 0.25)
    logins = page(metrics)["logins"]
    assert logins["total"] == 3
    assert logins["by_outcome"]["success"] == 2
    assert logins["by_outcome"]["locked"] == 1
    assert logins["by_outcome"]["network"] == 0
    assert logins["by_reason"] == {"start": 1, "string": 2, "expiring": 0, "token_not_valid": 0}


@pytest.mark.parametrize(("calls", "logins", "served"), [(5, 2, 2.5), (0, 1, 0.0), (3, 0, None)])
def test_calls_per_login_tells_what_a_login_was_good_for(calls, logins, served):
    metrics = new_metrics()
    for _ in range(calls):
        metrics.finished(exchange())
    for _ in range(logins):
        metrics.login_finished("success", "string", 0.1)
    metrics.finished(exchange(token_result="fail", token_wait=1.0))
    assert page(metrics)["logins"]["calls_per_login"] == served


def test_waits_for_a_token_are_counted_summed_and_the_longest_is_told():
    one, two = new_metrics(), new_metrics()
    one.finished(exchange(token_result="wait", token_wait=0.25))
    two.finished(exchange(token_result="wait", token_wait=1.5))
    assert page(one, two)["logins"]["waits"] == {"count": 2, "total_seconds": 1.75, "longest_seconds": 1.5}


def test_a_block_and_the_latest_logins_are_told():
    token = {"state": "blocked", "obtained": None, "expires": None, "blocked_until": 1_700_000_060.0}
    history = [Record(1_700_000_000.0, "start", "rejected", 0.1234, 0)]
    logins = page(token=token, history=history)["logins"]
    assert logins["blocked_until"] == "2023-11-14T22:14:20.000Z"
    assert logins["recent"] == [
        {"at": "2023-11-14T22:13:20.000Z", "reason": "start", "outcome": "rejected", "seconds": 0.123, "calls": 0}
    ]


def test_the_last_reload_and_the_build_are_told():
    shown = page(reload={"at": None, "error": "routes.yaml:3:1: error: unknown key"})
    assert shown["reload"] == {"at": None, "error": "routes.yaml:3:1: error: unknown key"}
    assert shown["build"] == {"version": "1.2.3", "python": "3.11.7"}


def test_it_tells_when_the_secret_key_ends_as_soon_as_that_is_known():
    metrics = new_metrics()
    assert page(metrics)["secret_key"] is None
    metrics.secret_key_found(None, 1)
    assert page(metrics)["secret_key"] == {"expires": None, "keys": 1}
    metrics.secret_key_found(1_700_000_060.0, 2)
    assert page(metrics)["secret_key"] == {"expires": "2023-11-14T22:14:20.000Z", "keys": 2}
