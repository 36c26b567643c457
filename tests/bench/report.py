"""The figures as tables in Markdown: they read well on a terminal, too."""

from __future__ import annotations

from tests.bench import crowd, optimized
from tests.bench.contestants import ALL_IN_FLIGHT, CROWDED, LIMITED, MAKERS
from tests.bench.goals import GOALS, Goal, reached, value
from tests.bench.lambda_cost import KINDS_OF_EVENTS, SMALLEST, TIMEOUT, WHOLE_CORE, WITH
from tests.bench.measure import CONNECTIONS, Figures

# Title -> figure and digits after the point.
_REQUESTS = {
    "us/request": ("us_32", 1),
    "us at 400/s": ("us_calm", 0),
    "us over TLS": ("us_32_tls", 1),
    "us at 400/s, TLS": ("us_calm_tls", 0),
    "req/s/core": ("rps_core_32", 0),
}
_LATENCY = {
    f"+{quantile}, {connections} conn.": (f"added_{quantile}_{connections}", 0)
    for connections in CONNECTIONS
    for quantile in ("p50", "p99")
}
_CROWDED = {
    f"{title}, {connections} conn.{over}": (f"{figure}_{connections}{suffix}", 0)
    for connections in (128, 256)
    for suffix, over in (("", ""), ("_tls", ", TLS"))
    for title, figure in (("us/request", "us"), ("p99", "p99"))
}
_HOUSE = {
    "start ms": ("start_ms", 0),
    "start CPU ms": ("start_cpu_ms", 0),
    "over https, until ready": ("ready_cpu_ms", 0),
    "MiB idle": ("rss_idle", 1),
    "MiB loaded": ("rss_load", 1),
    "MiB, 1,000 conn.": ("rss_1000", 1),
    "KiB/conn.": ("kb_per_connection", 1),
}
_UPLOADS = {
    "MiB after the first scrape": ("rss_scraped", 1),
    "of it private": ("private_scraped", 1),
    "256 uploads": ("rss_uploads", 1),
    "more than before, 30 s after them": ("rss_uploads_left", 1),
}
_BODIES = {
    f"{title} {way}{over}": (f"{figure}_{way}{suffix}", digits)
    for suffix, over in (("", ""), ("_tls", ", TLS"))
    for way in ("down", "up")
    for title, figure, digits in (("MB/s", "mb_s", 0), ("CPU s/GB", "cpu_gb", 2))
}
_DIALS = {
    "us/request, a connection each": ("us_32_storm", 0),
    "req/s": ("rps_32_storm", 0),
    "200 at once, p50 ms": ("p50_burst", 0),
    "p99 ms": ("p99_burst", 0),
    "CPU ms": ("ms_burst", 0),
}
_CROWD = {
    "us/request": ("us", 1),
    "p50 ms": ("p50", 1),
    "p99 ms": ("p99", 1),
    "requests of a client: least": ("least", 0),
    "median": ("middle", 0),
    "most": ("most", 0),
    "connections dialled": ("dials", 0),
    "503, %": ("rejected", 1),
}
_LAMBDA = {
    f"{title}, {share}": (f"{figure}_{megabytes}", digits)
    for title, figure, digits in (
        ("cold start, s", "lambda_start", 2),
        ("added, s", "lambda_added", 2),
        ("added CPU ms", "lambda_added_cpu", 0),
        ("CPU ms of an event", "lambda_event", 2),
    )
    for megabytes, share in ((WHOLE_CORE, "a core"), (SMALLEST, "7 %"))
} | {"an event after a time-out, 7 %, s": ("lambda_recovery", 2)}
_ON_LAMBDA = (
    "A plugin on AWS Lambda: a function of 1,769 MB, which has a whole core, and of 128 MB, which has 7 %; no call in "
    f"its events, but one in the event after a time-out of {TIMEOUT:.0f} s, which starts the environment anew"
)
_CROWDS = (
    "Many clients, each with a request under way at any time{}; the sidecar with SIDECAR_MAX_IN_FLIGHT="
    + f"{ALL_IN_FLIGHT}, but for the row that says otherwise"
)
_PARTS = (
    ("CPU time of the proxy per request", _REQUESTS),
    ("Added latency in microseconds", _LATENCY),
    ("With many connections: CPU time per request, and the latency, the upstream's own included", _CROWDED),
    ("Start and memory", _HOUSE),
    (
        "New connections over TLS: an upstream that closes after each answer, and 200 calls at once on an empty pool "
        "where the name's look-up takes 30 ms",
        _DIALS,
    ),
    ("64 MB bodies", _BODIES),
    ("Memory over TLS: at rest, and with uploads in flight to an upstream that does not read on", _UPLOADS),
)


def markdown(figures: Figures, missing: dict[str, str], setting: str) -> str:
    """The whole result."""
    parts = ["# How fast: the sidecar beside its peers", setting]
    parts += [f"## {title}\n\n{_table(figures, columns, missing)}" for title, columns in _PARTS]
    parts += [
        f"## {_CROWDS.format(over)}\n\n{_crowds(figures, suffix)}" for over, suffix in (("", ""), (" over TLS", "_tls"))
    ]
    parts += [f"## {_ON_LAMBDA}; {optimized.told()}\n\n{_lambda(figures, missing)}"]
    parts += [f"## Rules and workers\n\n{_variants(figures)}", f"## Goals\n\n{_goals(figures)}"]
    return "\n\n".join(parts) + "\n"


def _table(figures: Figures, columns: dict[str, tuple[str, int]], missing: dict[str, str]) -> str:
    rows = [["", *columns]]
    for who in MAKERS:
        cells = [value(figures, who, figure) for figure, _ in columns.values()]
        if who in missing:
            rows.append([who, f"missing: {missing[who]}", *[""] * (len(columns) - 1)])
        elif any(cell is not None for cell in cells):
            digits = [places for _, places in columns.values()]
            rows.append([who, *(_number(cell, places) for cell, places in zip(cells, digits, strict=True))])
    return _rows(rows)


def _lambda(figures: Figures, missing: dict[str, str]) -> str:
    if WITH in missing:
        return f"missing: {missing[WITH]}"
    rows = [["", *KINDS_OF_EVENTS]]
    for title, (figure, digits) in _LAMBDA.items():
        rows.append([title, *(_number(figures.get(who, figure), digits) for who in KINDS_OF_EVENTS)])
    return _rows(rows)


def _crowds(figures: Figures, suffix: str) -> str:
    rows = [["clients", "", *_CROWD]]
    for connections in crowd.CONNECTIONS:
        for who in (*CROWDED, LIMITED):
            found = {name: figures.get(who, f"{name}_crowd_{connections}{suffix}") for name, _ in _CROWD.values()}
            if found["us"] is not None:
                scale = {"p50": 1e-3, "p99": 1e-3}
                cells = [_number((found[name] or 0.0) * scale.get(name, 1), places) for name, places in _CROWD.values()]
                rows.append([f"{connections:,}", who, *cells])
    return _rows(rows)


def _variants(figures: Figures) -> str:
    rows = [["sidecar with", "us/request", "req/s", "start CPU ms", "MiB"]]
    for who, figure in (
        ("10 rules", "us_paths"),
        ("5,000 rules", "us_paths"),
        ("10,000 rules", "us_paths"),
        ("20,000 rules", "us_paths"),
        ("1 worker", "us_32"),
        ("2 workers", "us_32"),
    ):
        cells = ((figure, 1), ("rps_32", 0), ("start_cpu_ms", 0), ("rss_idle", 1))
        found = [(figures.get(who, name), digits) for name, digits in cells]
        if any(number is not None for number, _ in found):
            rows.append([who, *(_number(number, digits) for number, digits in found)])
    return _rows(rows)


def _goals(figures: Figures) -> str:
    rows = [["goal", "at most", "reached", ""]]
    for goal in GOALS:
        found = reached(figures, goal)
        verdict = "not measured" if found is None else "met" if found <= goal.most else "missed"
        rows.append([goal.says, _limit(goal), _number(found, 2), verdict])
    return _rows(rows)


def _limit(goal: Goal) -> str:
    return f"{goal.most:g} x {goal.peer}" if goal.peer else f"{goal.most:g} {goal.unit}"


def _number(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:,.{digits}f}"


def _rows(rows: list[list[str]]) -> str:
    widths = [
        max(len(row[column]) for row in rows if column == 0 or "missing" not in row[1])
        for column in range(len(rows[0]))
    ]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
