"""What would become of a request, in words: for `explain`, its HTTP twin and the inspector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from biot_sidecar.routing.local_paths import LOGIN_PATH, local_path
from biot_sidecar.routing.path_normalization import BadPath, Segments, segments_of
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Interception, Operation, Route, Verdict
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.routing.unknown_operations import why_unknown

Explanation = dict[str, Any]


def explain(table: RouteTable, method: str, path: str) -> Explanation:
    """The keys of `biot-sidecar explain --json`. `timeout` is seconds with their unit; the query is cut off.

    For a path that is refused before any route is asked `route` and `source` are None and `deny` says so.
    """
    path = path.partition("?")[0].partition("#")[0]
    target = path.encode("utf-8", "surrogateescape")
    verdict = table.verdict(method.encode("utf-8", "surrogateescape"), target)
    refused = verdict.path_refused
    route = verdict.route
    return {
        "method": method,
        "path": path,
        "route": route.name if refused is None else None,
        "source": route.source if refused is None else None,
        "interception": route.interception.value,
        "authorization": route.authorization.value,
        "timeout": f"{route.timeout:g}s",
        "retry": route.retry.value,
        "deny": verdict.deny if refused is None else f"the path is refused with 400: {refused}",
        "operation": None if verdict.operation is None else f"{verdict.operation.method} {verdict.operation.path}",
        "warnings": list(_warnings(table, method, target, verdict)),
        **_observation(verdict.observed),
    }


def _observation(observed: Route | None) -> Explanation:
    """The route that would have denied the request, and why; a key of its own, if there is one."""
    return {} if observed is None else {"observe": {"route": observed.name, "reason": observed.observe}}


def _warnings(table: RouteTable, method: str, target: bytes, verdict: Verdict) -> Iterator[str]:
    if not target.startswith(b"/") and target != b"*":
        yield "a path begins with /"
        return
    if local_path(target) is not None:
        yield "the sidecar answers this path itself; nothing of it is forwarded"
        return
    if method in {"CONNECT", "TRACE"}:
        yield f"{method} is refused with 405, whatever the routes say"
    elif method != method.upper():
        yield f"methods have capitals: to BioT {method} is another method than {method.upper()}"
    if verdict.path_refused is not None:
        yield f"the path is refused with 400, whatever the routes say: {verdict.path_refused}"
    elif verdict.deny is None:
        yield from _about_the_operation(method, target, verdict)
    elif (plain := table.literal_route(method.encode("utf-8", "surrogateescape"), target)) is not verdict.route:
        yield (
            f"as it stands the request falls under {plain.name}, but a server might read the path or method in "
            "another way, and that is denied"
        )


def _about_the_operation(method: str, target: bytes, verdict: Verdict) -> Iterator[str]:
    operation = verdict.operation
    if operation is None:
        reason = why_unknown(_literally(method, target))
        yield f"no known BioT operation; it is forwarded all the same{'; ' * bool(reason)}{reason}"
    elif method == "POST" and operation.path == LOGIN_PATH:
        yield "a plugin's own login: SIDECAR_PLUGIN_LOGIN says what it gets, and it never carries our token"
    elif verdict.route.interception is not Interception.OFF and operation.interceptable is False:
        yield "BioT does not intercept this operation: allow-interception has no effect on it"


def _literally(method: str, target: bytes) -> Pattern:
    return Pattern("", frozenset({method}), tuple(_segments(target)))


def _segments(target: bytes) -> Segments:
    try:
        return segments_of(target)
    except BadPath:
        return ()


def facts_of(operation: Operation) -> str:
    """What is known of an operation, for people."""
    known = {True: "BioT can intercept it", False: "BioT does not intercept it", None: "interception unknown"}
    needs = "public" if operation.public else f"permission {operation.permission or 'unknown'}"
    return f"{operation.method} {operation.path} ({needs}; {known[operation.interceptable]})"
