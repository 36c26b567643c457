"""Gives the numbers their names: the Prometheus and OpenMetrics text of `/metrics`.

It is written piece by piece, so that others have their turn in between: with a hundred routes it is 6,000 lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, Literal

from biot_sidecar.telemetry.histogram import CALL_BOUNDS, Histogram, RouteStats
from biot_sidecar.telemetry.process_metrics import ProcessMetrics
from biot_sidecar.telemetry.snapshot import LOGIN_BOUNDS, OVERHEAD_BOUNDS, Snapshot, merge_snapshots
from biot_sidecar.telemetry.text_format import Family, Sample, TextFormat, format_for, number, written

PREFIX: Final = "biot_sidecar_"
ROUTES_AT_ONCE: Final = 8
"""Routes whose series are one piece of the page: a millisecond or less."""


def render(snapshots: Sequence[bytes], accept: str) -> tuple[str, bytes]:
    """Content type and text of the sums over all processes' snapshots, in one piece."""
    content_type, pieces = render_in_pieces(snapshots, accept)
    return content_type, b"".join(pieces)


def render_in_pieces(snapshots: Sequence[bytes], accept: str) -> tuple[str, Iterator[bytes]]:
    """Content type and text; `accept` is the scraper's Accept field."""
    text_format = format_for(accept)
    return text_format.content_type, _pieces(text_format, merge_snapshots(snapshots))


def _pieces(text_format: TextFormat, snapshot: Snapshot) -> Iterator[bytes]:
    """A family in several pieces has its head once; the end of an OpenMetrics page comes last."""
    before = ""
    for family in _families(snapshot):
        yield text_format.write(family, head=family.name != before).encode()
        before = family.name
    yield text_format.end.encode()


def _families(snapshot: Snapshot) -> Iterator[Family]:
    yield from _by_route(snapshot)
    yield from _requests(snapshot)
    yield from _refusals(snapshot)
    yield from _tokens(snapshot)
    yield from _upstream(snapshot)
    yield from _program(snapshot)
    yield from _process(snapshot.process)
    yield from _garbage_collections(snapshot.process)
    yield _python(snapshot.python)


def _batches(routes: dict[str, RouteStats]) -> Iterator[list[tuple[str, RouteStats]]]:
    """The routes, a few at a time; at least one batch, so that every family has its head."""
    named = list(routes.items())
    for start in range(0, max(len(named), 1), ROUTES_AT_ONCE):
        yield named[start : start + ROUTES_AT_ONCE]


def _by_route(snapshot: Snapshot) -> Iterator[Family]:
    """The families of one series and more for each route."""
    for routes in _batches(snapshot.routes):
        yield _counter(
            "requests",
            "Requests answered, with the route's interception; status 499: the connection ended before any answer.",
            ("route", "method", "status", "interception"),
            (
                ((name, method, str(status), setting), count)
                for name, route in routes
                for (method, status, setting), count in route.requests.items()
            ),
        )
    yield from _durations_by_route(snapshot)
    for routes in _batches(snapshot.routes):
        yield _counter(
            "interception",
            "What became of allow-interception: set, removed, passed on, or none to begin with.",
            ("route", "action"),
            (((name, action), count) for name, route in routes for action, count in route.actions.items()),
        )


def _durations_by_route(snapshot: Snapshot) -> Iterator[Family]:
    for name, text, part in (
        ("request_duration_seconds", "From a request's head to its answer's last byte.", "duration"),
        ("upstream_request_duration_seconds", "The part of it spent with BioT, all tries.", "upstream"),
    ):
        for routes in _batches(snapshot.routes):
            family = _family("histogram", name, text)
            for route_name, route in routes:
                _fill(family, getattr(route, part), CALL_BOUNDS, [("route", route_name)])
            yield family


def _requests(snapshot: Snapshot) -> Iterator[Family]:
    yield _histogram(
        "overhead_seconds",
        "The sidecar's part of a forwarded request: all but the time with BioT. Logging in, dialling and pauses "
        "between tries are the sidecar's.",
        snapshot.overhead,
        OVERHEAD_BOUNDS,
    )
    yield _gauge("requests_in_flight", "Requests under way.", snapshot.in_flight)
    yield _counter("request_body_bytes", "Bytes of requests' bodies.", (), [((), snapshot.request_bytes)])
    yield _counter("response_body_bytes", "Bytes of answers' bodies.", (), [((), snapshot.response_bytes)])
    yield _counter("answers_cut", "Answers that broke off after their head.", (), [((), snapshot.cut)])


def _refusals(snapshot: Snapshot) -> Iterator[Family]:
    yield _counter("refused", "Requests that the sidecar refused.", ("reason",), _singles(snapshot.refused))
    yield _counter(
        "would_deny",
        "Requests that a route with `observe` would have denied, had it `deny`.",
        ("route",),
        {(name,): route.would_deny for name, route in snapshot.routes.items() if route.observes or route.would_deny},
    )
    yield _counter("retries", "Requests sent to BioT once more, by why.", ("reason",), _singles(snapshot.retries))


def _tokens(snapshot: Snapshot) -> Iterator[Family]:
    yield _counter(
        "logins", "Logins at BioT, by how they ended and why they were needed.", ("outcome", "reason"), snapshot.logins
    )
    yield _histogram(
        "login_duration_seconds", "How long BioT took over a login.", snapshot.login_duration, LOGIN_BOUNDS
    )
    yield _counter(
        "token_requests",
        "Requests that needed the token: in hand (hit), in hand while a newer one is fetched (stale), "
        "waited for (wait), not to be had (fail).",
        ("result",),
        _singles(snapshot.token_requests),
    )
    yield _histogram(
        "token_wait_seconds",
        "How long requests waited for a token; those that did not are left out.",
        snapshot.token_wait,
        LOGIN_BOUNDS,
    )
    yield _gauge("token_expiry_timestamp_seconds", "When the token expires; 0: there was none.", snapshot.token_expires)
    yield _gauge(
        "login_blocked_until_timestamp_seconds",
        "Until when no login is tried, because BioT rejected the user; 0: logins are not blocked.",
        snapshot.blocked_until,
    )
    if snapshot.clock_offset is not None:
        yield _gauge(
            "clock_offset_seconds",
            "BioT's clock less this machine's, by the Date of the last login; absent while it is not known.",
            snapshot.clock_offset,
        )
    if snapshot.secret_key_expires:
        yield _gauge(
            "secret_key_expiry_timestamp_seconds",
            "When the service user's secret key ends, the first of several; absent while unknown, or if none does.",
            snapshot.secret_key_expires,
        )


def _upstream(snapshot: Snapshot) -> Iterator[Family]:
    connections = _family("gauge", "upstream_connections", "Open connections to BioT.")
    connections.add(snapshot.idle, [("state", "idle")])
    connections.add(snapshot.active, [("state", "active")])
    yield connections
    yield _counter("upstream_connects", "Connections dialled to BioT.", ("outcome",), _singles(snapshot.connects))
    yield _counter(
        "upstream_connections_closed",
        "Connections to BioT that were closed: too old (age), at rest for too long (idle), by BioT (upstream), for a "
        "fault (error), since new settings are in force (reload) or there were enough (surplus).",
        ("reason",),
        _singles(snapshot.closed),
    )


def _program(snapshot: Snapshot) -> Iterator[Family]:
    yield _counter("config_reloads", "Times the routes file was read again.", ("outcome",), _singles(snapshot.reloads))
    yield _gauge(
        "config_last_reload_successful",
        "1 if the routes file that was read last is in force.",
        snapshot.reload_successful,
    )
    yield _counter(
        "descriptor_shortages",
        "Times that new connections had to wait because no file descriptor was left for them.",
        (),
        [((), snapshot.descriptor_shortages)],
    )
    yield _counter(
        "worker_restarts",
        "Serving processes that took the place of one that ended (exit) or did not answer (unresponsive).",
        ("reason",),
        _singles(snapshot.worker_restarts),
    )
    yield _counter(
        "log_lines_dropped", "Lines of the log that could not be written.", (), [((), snapshot.lines_dropped)]
    )
    yield _counter("trace_spans_dropped", "Spans of traces that could not be sent.", (), [((), snapshot.spans_dropped)])
    build = _family("info", "build", "The program that runs.")
    build.add(1, [("version", snapshot.version), ("python", snapshot.python)])
    yield build


# ---- families of prometheus_client, in its words: dashboards for programs in Python know them


def _process(process: ProcessMetrics) -> Iterator[Family]:
    """What /proc says of the processes."""
    for name, text, size in (
        ("virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual),
        ("resident_memory_bytes", "Resident memory size in bytes.", process.resident),
        ("start_time_seconds", "Start time of the process since unix epoch in seconds.", process.started),
        ("open_fds", "Number of open file descriptors.", process.open_files),
        ("max_fds", "Maximum number of open file descriptors.", process.files_most),
    ):
        if size:
            yield _gauge(name, text, size, prefix="process_")
    if process.cpu:
        cpu = _family("counter", "cpu_seconds", "Total user and system CPU time spent in seconds.", prefix="process_")
        cpu.add(process.cpu)
        yield cpu


def _garbage_collections(process: ProcessMetrics) -> Iterator[Family]:
    """What `gc` says of the processes."""
    for name, text, counts in (
        ("objects_collected", "Objects collected during gc", process.collected),
        ("objects_uncollectable", "Uncollectable objects found during GC", process.uncollectable),
        ("collections", "Number of times this generation was collected", process.collections),
    ):
        family = _family("counter", name, text, prefix="python_gc_")
        for generation, count in enumerate(counts):
            family.add(count, [("generation", str(generation))])
        yield family


def _python(version: str) -> Family:
    family = _family("gauge", "python_info", "Python platform information", prefix="")
    parts = zip(("major", "minor", "patchlevel"), version.split("."), strict=False)
    name = sys.implementation.name
    family.add(1, [("version", version), ("implementation", "CPython" if name == "cpython" else name), *parts])
    return family


# ---- the families


def _singles(counts: dict[str, int]) -> dict[tuple[str], int]:
    return {(label,): count for label, count in counts.items()}


def _family(
    kind: Literal["counter", "gauge", "histogram", "info"], name: str, text: str, prefix: str = PREFIX
) -> Family:
    return Family(prefix + name, kind, text, [])


def _counter(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: dict[Any, int] | Iterable[tuple[Sequence[str], int]],
) -> Family:
    family = _family("counter", name, text)
    for key, count in values.items() if isinstance(values, dict) else values:
        family.add(count, zip(labels, key, strict=True))
    return family


def _gauge(name: str, text: str, value: float, prefix: str = PREFIX) -> Family:
    family = _family("gauge", name, text, prefix)
    family.add(value)
    return family


def _histogram(name: str, text: str, histogram: Histogram, bounds: tuple[float, ...]) -> Family:
    family = _family("histogram", name, text)
    _fill(family, histogram, bounds, [])
    return family


def _fill(family: Family, histogram: Histogram, bounds: tuple[float, ...], labels: list[tuple[str, str]]) -> None:
    """The buckets of one series, how many observations there were, and their sum."""
    edges = [*map(number, bounds), "+Inf"]
    count = "0"
    for bucket, (edge, observed) in enumerate(zip(edges, accumulate(histogram.counts), strict=True)):
        latest = histogram.exemplars.get(bucket)
        exemplar = ""
        if latest is not None:
            exemplar = f" # {written([('trace_id', latest[0])])} {number(latest[1])} {latest[2]}"
        count = number(observed)
        family.samples.append(Sample("_bucket", written([*labels, ("le", edge)]), count, exemplar))
    series = written(labels)
    family.samples += [Sample("_count", series, count), Sample("_sum", series, number(histogram.seconds))]
