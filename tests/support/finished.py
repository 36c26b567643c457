"""Exchanges as server and proxy leave them, for those who observe them."""

from __future__ import annotations

from typing import Any

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.routing.route import Interception, Route, Verdict

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def verdict(
    route: str = "a rule",
    template: str = "/organization/v1/users/patients/{id}",
    interception: Interception = Interception.OFF,
) -> Verdict:
    return Verdict(route=Route(name=route, source="routes.yaml:7", interception=interception), template=template)


def observed(route: str = "a stricter rule") -> Verdict:
    """Of a request that this route would deny, had it `deny` where it has `observe`."""
    observing = Route(name=route, source="routes.yaml:9", observe="not for plugins")
    return Verdict(route=Route(name="a rule", source="routes.yaml:7"), template="/x", observed=observing)


def exchange(seconds: float = 0.012, **told: Any) -> Exchange:
    """A GET that BioT answered with 200 in `seconds`, but for what is `told` otherwise."""
    made = Exchange(7, 1_700_000_000.0, 50.0)
    usual: dict[str, Any] = {
        "finished": made.started + seconds,
        "method": b"GET",
        "verdict": verdict(),
        "status": 200,
        "upstream_status": 200,
        "tries": 1,
        "upstream_seconds": seconds * 0.75,
        "token_result": "hit",
        "token_age": 3.5,
        "trace_id": TRACE,
    }
    for name, value in {**usual, **told}.items():
        setattr(made, name, value)
    return made


def refused(because: str = "host", **told: Any) -> Exchange:
    """A request that was refused before the rules were asked."""
    nothing = {"verdict": None, "upstream_status": 0, "tries": 0, "upstream_seconds": 0.0, "token_result": ""}
    return exchange(**{**nothing, "status": 421, "refused": because, "reason": because, "token_age": -1.0, **told})
