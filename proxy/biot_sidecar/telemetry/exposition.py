"""Gives the numbers their names: the Prometheus and OpenMetrics text of `/metrics`, written by prometheus_client.

It is written piece by piece, so that others have their turn in between: with a hundred routes it is 6,000 lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from biot_sidecar.telemetry.histogram import CALL_BOUNDS, Histogram, RouteStats
from biot_sidecar.telemetry.process_metrics import ProcessMetrics
from biot_sidecar.telemetry.snapshot import LOGIN_BOUNDS, OVERHEAD_BOUNDS, Snapshot, merge_snapshots

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.metrics_core import Metric

PREFIX: Final = "biot_sidecar_"
ROUTES_AT_ONCE: Final = 8
"""Routes whose series are one piece of the page: a millisecond or two."""
_END: Final = b"# EOF\n"
_HEAD: Final = re.compile(rb"\A(?:# [^\n]*\n)*")
# What a scraper may ask for. The library puts the client's words into the answer's Content-Type and raises on others,
# so only words known here reach it.
_WANTED: Final = re.compile(
    r"(?:application/openmetrics-text|text/plain)"
    r"(?:\s*;\s*(?:version=(?:0\.0\.1|0\.0\.4|1\.0\.0)|escaping=(?:allow-utf-8|underscores|dots|values)"
    r"|charset=utf-8|q=(?:0\.\d{0,2}[1-9]|1(?:\.0{1,3})?)))*"
)


def render(snapshots: Sequence[bytes], accept: str) -> tuple[str, bytes]:
    """Content type and text of the sums over all processes' snapshots, in one piece."""
    content_type, pieces = render_in_pieces(snapshots, accept)
    return content_type, b"".join(pieces)


def render_in_pieces(snapshots: Sequence[bytes], accept: str) -> tuple[str, Iterator[bytes]]:
    """Content type and text; the library is imported unless it has been (telemetry.prometheus_loading).

    `accept` is the scraper's Accept field: the Prometheus text format 0.0.4, or OpenMetrics 1.0 if it asks for that.
    """
    from prometheus_client.exposition import choose_encoder

    wanted = ",".join(part for part in map(str.strip, accept.split(",")) if _WANTED.fullmatch(part))
    encode, content_type = choose_encoder(wanted)
    return content_type, _pieces(encode, merge_snapshots(snapshots))


class _Collector:
    """One family for the library to write down: prometheus_client.registry.Collector."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _pieces(encode: Callable[[Any], bytes], snapshot: Snapshot) -> Iterator[bytes]:
    """A family in several pieces has its head once; the end of an OpenMetrics page comes last."""
    end, before = b"", ""
    for family in _families(snapshot):
        text = encode(_Collector(family))
        if text.endswith(_END):
            text, end = text.removesuffix(_END), _END
        yield _HEAD.sub(b"", text) if family.name == before else text
        before = family.name
    yield end


def _families(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client import PLATFORM_COLLECTOR

    yield from _by_route(snapshot)
    yield from _requests(snapshot)
    yield from _refusals(snapshot)
    yield from _tokens(snapshot)
    yield from _upstream(snapshot)
    yield from _program(snapshot)
    yield from _process(snapshot.process)
    yield from _garbage_collections(snapshot.process)
    yield from PLATFORM_COLLECTOR.collect()


def _batches(routes: dict[str, RouteStats]) -> Iterator[list[tuple[str, RouteStats]]]:
    """The routes, a few at a time; at least one batch, so that every family has its head."""
    named = list(routes.items())
    for start in range(0, max(len(named), 1), ROUTES_AT_ONCE):
        yield named[start : start + ROUTES_AT_ONCE]


def _by_route(snapshot: Snapshot) -> Iterator[Metric]:
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


def _durations_by_route(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, part in (
        ("request_duration_seconds", "From a request's head to its answer's last byte.", "duration"),
        ("upstream_request_duration_seconds", "The part of it spent with BioT, all tries.", "upstream"),
    ):
        for routes in _batches(snapshot.routes):
            family = _histogram(name, text, ("route",))
            for route_name, route in routes:
                _fill(family, (route_name,), getattr(route, part), CALL_BOUNDS)
            yield family


def _requests(snapshot: Snapshot) -> Iterator[Metric]:
    overhead = _histogram(
        "overhead_seconds",
        "The sidecar's part of a forwarded request: all but the time with BioT. Logging in, dialling and pauses "
        "between tries are the sidecar's.",
    )
    _fill(overhead, (), snapshot.overhead, OVERHEAD_BOUNDS)
    yield overhead
    yield _gauge("requests_in_flight", "Requests under way.", snapshot.in_flight)
    yield _counter("request_body_bytes", "Bytes of requests' bodies.", (), [((), snapshot.request_bytes)])
    yield _counter(
        "response_body_bytes", "Bytes of answers' bodies that were passed on.", (), [((), snapshot.response_bytes)]
    )
    yield _counter("answers_cut", "Answers that broke off after their head.", (), [((), snapshot.cut)])


def _refusals(snapshot: Snapshot) -> Iterator[Metric]:
    yield _counter("refused", "Requests that the sidecar refused.", ("reason",), _singles(snapshot.refused))
    yield _counter(
        "would_deny",
        "Requests that a route with `observe` would have denied, had it `deny`.",
        ("route",),
        {(name,): route.would_deny for name, route in snapshot.routes.items() if route.observes or route.would_deny},
    )
    yield _counter("retries", "Requests sent to BioT once more, by why.", ("reason",), _singles(snapshot.retries))


def _tokens(snapshot: Snapshot) -> Iterator[Metric]:
    yield _counter(
        "logins", "Logins at BioT, by how they ended and why they were needed.", ("outcome", "reason"), snapshot.logins
    )
    duration = _histogram("login_duration_seconds", "How long BioT took over a login.")
    _fill(duration, (), snapshot.login_duration, LOGIN_BOUNDS)
    yield duration
    yield _counter(
        "token_requests",
        "Requests that needed the token: in hand (hit), in hand while a newer one is fetched (stale), "
        "waited for (wait), not to be had (fail).",
        ("result",),
        _singles(snapshot.token_requests),
    )
    wait = _histogram("token_wait_seconds", "How long requests waited for a token; those that did not are left out.")
    _fill(wait, (), snapshot.token_wait, LOGIN_BOUNDS)
    yield wait
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


def _upstream(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    connections = GaugeMetricFamily(PREFIX + "upstream_connections", "Open connections to BioT.", labels=("state",))
    connections.add_metric(("idle",), snapshot.idle)
    connections.add_metric(("active",), snapshot.active)
    yield connections
    yield _counter("upstream_connects", "Connections dialled to BioT.", ("outcome",), _singles(snapshot.connects))
    yield _counter(
        "upstream_connections_closed",
        "Connections to BioT that were closed: too old (age), at rest for too long (idle), by BioT (upstream), for a "
        "fault (error), since new settings are in force (reload) or there were enough (surplus).",
        ("reason",),
        _singles(snapshot.closed),
    )


def _program(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import InfoMetricFamily

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
    build = {"version": snapshot.version, "python": snapshot.python}
    yield InfoMetricFamily(PREFIX + "build", "The program that runs.", value=build)


def _process(process: ProcessMetrics) -> Iterator[Metric]:
    """prometheus_client's own families, which its collector fills with what /proc says of one process."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, text, size in (
        ("virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual),
        ("resident_memory_bytes", "Resident memory size in bytes.", process.resident),
        ("start_time_seconds", "Start time of the process since unix epoch in seconds.", process.started),
        ("open_fds", "Number of open file descriptors.", process.open_files),
        ("max_fds", "Maximum number of open file descriptors.", process.files_most),
    ):
        if size:
            yield GaugeMetricFamily("process_" + name, text, value=size)
    if process.cpu:
        yield CounterMetricFamily(
            "process_cpu_seconds", "Total user and system CPU time spent in seconds.", value=process.cpu
        )


def _garbage_collections(process: ProcessMetrics) -> Iterator[Metric]:
    """prometheus_client's own families, which its collector fills with what `gc` says of one process."""
    from prometheus_client.core import CounterMetricFamily

    for name, text, counts in (
        ("objects_collected", "Objects collected during gc", process.collected),
        ("objects_uncollectable", "Uncollectable objects found during GC", process.uncollectable),
        ("collections", "Number of times this generation was collected", process.collections),
    ):
        family = CounterMetricFamily("python_gc_" + name, text, labels=["generation"])
        for generation, count in enumerate(counts):
            family.add_metric((str(generation),), count)
        yield family


# ---- the library's values


def _singles(counts: dict[str, int]) -> dict[tuple[str], int]:
    return {(label,): count for label, count in counts.items()}


def _counter(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: dict[Any, int] | Iterable[tuple[Sequence[str], int]],
) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for key, count in values.items() if isinstance(values, dict) else values:
        family.add_metric(key, count)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _histogram(name: str, text: str, labels: tuple[str, ...] = ()) -> HistogramMetricFamily:
    from prometheus_client.core import HistogramMetricFamily

    return HistogramMetricFamily(PREFIX + name, text, labels=labels)


def _fill(
    family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram, bounds: tuple[float, ...]
) -> None:
    from prometheus_client.core import Exemplar
    from prometheus_client.utils import floatToGoString

    edges = [*map(floatToGoString, bounds), "+Inf"]
    buckets: list[Any] = []
    for bucket, (edge, count) in enumerate(zip(edges, accumulate(histogram.counts), strict=True)):
        latest = histogram.exemplars.get(bucket)
        exemplar = None if latest is None else Exemplar({"trace_id": latest[0]}, latest[1], latest[2])
        buckets.append((edge, count, exemplar))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.seconds)
