"""What we want to hold: ratios within one run. A goal without its figures is neither met nor missed."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.bench.lambda_cost import SMALLEST, WHOLE_CORE, WITH
from tests.bench.measure import Figures
from tests.bench.start_cost import READY_MOST

US: Final = "sidecar"


class Goal(NamedTuple):
    """`figure` of `who` is to be at most `most` times that of `peer`; with no peer, at most `most`."""

    says: str
    figure: str
    most: float
    peer: str = ""
    unit: str = ""
    who: str = US


GOALS: Final = (
    Goal("CPU per request", "us_32", 0.75, "Envoy"),
    Goal("CPU per request", "us_32", 0.65, "Go ReverseProxy"),
    Goal("CPU per request", "us_32", 1.6, "nginx"),
    Goal("CPU per request", "us_32", 0.2, "plain aiohttp"),
    Goal("CPU per request over TLS", "us_32_tls", 0.75, "Envoy"),
    Goal("CPU per request over TLS", "us_32_tls", 0.65, "Go ReverseProxy"),
    Goal("CPU per request over TLS", "us_32_tls", 1.6, "nginx"),
    Goal("CPU per request over TLS", "us_32_tls", 0.2, "plain aiohttp"),
    Goal("CPU per request at 400/s", "us_calm", 0.9, "Go ReverseProxy"),
    Goal("added p99 at 32 connections", "added_p99_32", 1.0, "Envoy"),
    Goal("memory, idle", "rss_idle", 32, unit="MiB"),
    Goal("memory per idle connection", "kb_per_connection", 10, unit="KiB"),
    Goal("CPU from start to ready", "start_cpu_ms", 150, unit="ms"),
    Goal("CPU from start to ready over https", "ready_cpu_ms", 80, unit="ms"),
    Goal("the same, in floors", "ready_cpu_floors", READY_MOST, unit="x"),
    Goal("64 MB down, CPU per GB", "cpu_gb_down", 1.2, "Go ReverseProxy"),
    Goal("64 MB up, CPU per GB", "cpu_gb_up", 1.2, "Go ReverseProxy"),
    Goal("64 MB down over TLS, CPU per GB", "cpu_gb_down_tls", 1.2, "Go ReverseProxy"),
    Goal("64 MB up over TLS, CPU per GB", "cpu_gb_up_tls", 1.2, "Go ReverseProxy"),
    Goal("p99 of 200 calls at once", "p99_burst", 1.0, "Go ReverseProxy"),
    Goal("CPU per request and new TLS connection", "us_32_storm", 1.15, "Go ReverseProxy"),
    *(
        goal
        for connections in (256, 1000)
        for over, suffix in (("", ""), (", TLS", "_tls"))
        for goal in (
            Goal(f"CPU per request, {connections} clients to 32{over}", f"grown_{connections}{suffix}", 1.3, unit="x"),
            Goal(f"p99, {connections} clients{over}", f"p99_crowd_{connections}{suffix}", 1.0, "Go ReverseProxy"),
            Goal(
                f"most to least requests of {connections} clients{over}",
                f"uneven_crowd_{connections}{suffix}",
                1.3,
                unit="x",
            ),
        )
    ),
    Goal("5,000 rules against 10", "us_paths", 1.03, "10 rules", who="5,000 rules"),
    Goal("start with 5,000 rules, more CPU than with 10", "more_start_cpu_ms", 250, unit="ms", who="5,000 rules"),
    Goal("memory of 5,000 rules, more than of 10", "more_rss_idle", 40, unit="MiB", who="5,000 rules"),
    Goal("memory over TLS after the first scrape", "rss_scraped", 32, unit="MiB"),
    Goal("of it private", "private_scraped", 17, unit="MiB"),
    Goal("memory, 256 uploads over TLS in flight", "rss_uploads", 80, unit="MiB"),
    Goal("of it not given back", "rss_uploads_left", 10, unit="MiB"),
    Goal("cold start on Lambda, added, a whole core", f"lambda_added_{WHOLE_CORE}", 0.12, unit="s", who=WITH),
    Goal("cold start on Lambda, added, 7 % of a core", f"lambda_added_{SMALLEST}", 1.3, unit="s", who=WITH),
    Goal("events lost after a time-out, 7 % of a core", "lambda_lost", 0, unit="of 1", who=WITH),
)


def value(figures: Figures, who: str, figure: str) -> float | None:
    """A figure, or one made of others: `added_...` is a latency less that without a proxy, `more_...` a cost less that
    with ten rules.
    """
    if figure.startswith("more_"):
        own, few = (figures.get(one, figure.removeprefix("more_")) for one in (who, "10 rules"))
        return None if own is None or few is None else own - few
    if figure.startswith("added_"):
        plain = figure.removeprefix("added_")
        through, without = figures.get(who, plain), figures.get("no proxy", plain)
        return None if through is None or without is None else max(0.0, through - without)
    return figures.get(who, figure)


def reached(figures: Figures, goal: Goal) -> float | None:
    """What came out, in the goal's own terms; None if it could not be measured."""
    if goal.peer and not goal.figure.startswith("added_"):
        return figures.ratio(goal.who, goal.peer, goal.figure)
    own = value(figures, goal.who, goal.figure)
    other = value(figures, goal.peer, goal.figure) if goal.peer else 1.0
    return own / other if own is not None and other else None
