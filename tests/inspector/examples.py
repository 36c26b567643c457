"""Finished exchanges as the pipeline would hand them to the recorder."""

from __future__ import annotations

from typing import Any

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.routing.route import Authorization, Interception, Route, Verdict

AT = 1_785_000_000.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

PATIENTS = Route(
    name="patient updates run interceptors",
    source="config/routes.yaml:9",
    interception=Interception.ON,
)
FILES = Route(name="users may act for themselves", source="config/routes.yaml:12", authorization=Authorization.KEEP)

OBSERVED = Verdict(PATIENTS, "/x", observed=Route(name="no keys", source="config/routes.yaml:20", observe="none here"))


def verdict(template: str = "/organization/v1/users/patients/{id}", route: Route = PATIENTS) -> Verdict:
    return Verdict(route=route, template=template)


def finished(**facts: Any) -> Exchange:
    """A request that went well, but for `facts`; it took 50 ms unless `finished` says otherwise."""
    exchange = Exchange(number=1, at=AT, started=100.0)
    exchange.finished = 100.05
    exchange.method = b"PATCH"
    exchange.verdict = verdict()
    exchange.status = exchange.upstream_status = 200
    exchange.interception = "set"
    exchange.tries = 1
    exchange.token_age = 61.0
    exchange.token_result = "hit"
    exchange.first_byte = 0.04
    exchange.trace_id = TRACE
    for name, value in facts.items():
        setattr(exchange, name, value)
    return exchange
