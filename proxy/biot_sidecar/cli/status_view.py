"""What a sidecar says of itself (`/_sidecar/status`, `/readyz`, the inspector's requests), as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from biot_sidecar.cli.colors import Palette
from biot_sidecar.cli.local_client import printable
from biot_sidecar.durations import show_duration
from biot_sidecar.timestamps import read_iso

_CLOCK_OFF: Final = 30.0
"""Seconds of offset between BioT's clock and ours that the program warns about."""
_TOKEN_STYLES: Final = {"valid": "good", "renewing": "good", "blocked": "bad", "failed": "bad"}


class Row(NamedTuple):
    """A line, and the style that it has as a whole."""

    text: str
    style: str = ""

    def shown(self, palette: Palette, width: int | None = None) -> str:
        """The line, cut to the columns of a terminal if there are only so many."""
        return palette.paint(self.text if width is None else self.text[:width], self.style)


def heading(status: Mapping[str, Any], ready: Mapping[str, Any], address: str, now: float) -> Iterator[Row]:
    """Who answers, and how it is; `now` in wall-clock seconds."""
    build, upstream = status["build"], status["upstream"]
    via = f" via {upstream['proxy']}" if upstream.get("proxy") else ""
    yield Row(
        f"biot-sidecar {build['version']} at {address} -> {printable(str(upstream.get('url', '?')))}{via}", "bold"
    )
    yield _readiness(ready)
    yield _token(status["token"], ready, now)
    yield from _secret_key(status.get("secret_key"), now)
    yield from _logins(status["logins"], now)
    yield from _clock(status["clock"]["offset_seconds"])
    yield _reload(status["reload"], now)


def routes(status: Mapping[str, Any], now: float, rates: Mapping[str, float] | None = None) -> Iterator[Row]:
    """The routes in the file's order; `rates` in calls a second, by the route's name."""
    all_routes = status["routes"]
    widest = max(len("route"), *(len(printable(route["name"], 40)) for route in all_routes))
    rate = "" if rates is None else f"{'a second':>10}"
    yield Row(f"  {'route':{widest}}{'calls':>10}{rate}{'last':>9}  interception  what else", "dim")
    for route in all_routes:
        rate = "" if rates is None else f"{rates.get(route['name'], 0.0):>10.1f}"
        last = _ago(route["last_used"], now)
        yield Row(
            f"  {printable(route['name'], 40):{widest}}{route['hits']:>10}{rate}{last:>9}  {route['interception']:12}  "
            f"{_what_else(route)}",
            "" if route["hits"] else "dim",
        )


def requests(records: Iterable[Mapping[str, Any]], now: float) -> Iterator[Row]:
    """The inspector's records, the latest first."""
    yield Row(f"  {'':>6}  {'status':>6}  {'took':>8}  {'token':>7}  request", "dim")
    for record in sorted(records, key=lambda one: -one["number"]):
        age = record["token_age"]
        token = "-" if age is None else f"{age:.0f}s"
        took = f"{record['durations']['total'] * 1000:.0f} ms"
        tries = f" ({record['tries']} tries)" if record["tries"] > 1 else ""
        what = f"{record['method']} {printable(record['template']) or '(no known path)'}"
        yield Row(
            f"  {now - record['at']:>5.0f}s  {record['status'] or 'gone':>6}  {took:>8}  {token:>7}  {what} "
            f"[{printable(record['rule'], 40)}, interception {record['interception']}]{tries}",
            _request_style(record["status"]),
        )


def rates_between(before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """Calls a second of each route; a sidecar that started anew meanwhile counts from 0."""
    hits = {route["name"]: route["hits"] for route in before["routes"]}
    return {
        route["name"]: max(route["hits"] - hits.get(route["name"], 0), 0) / seconds
        for route in after["routes"]
        if seconds > 0
    }


def _readiness(ready: Mapping[str, Any]) -> Row:
    if ready.get("ready"):
        return Row(_line("ready", "yes"), "good")
    return Row(_line("ready", f"no: {printable(str(ready.get('reason')))}"), "bad")


def _token(token: Mapping[str, Any], ready: Mapping[str, Any], now: float) -> Row:
    state = token["state"]
    text = state
    if token["obtained"]:
        text += f", obtained {_ago(token['obtained'], now)} ago"
    if token["expires"]:
        text += f", expires in {_until(token['expires'], now)}"
    error = (ready.get("token") or {}).get("last_error")
    if error:
        text += f"; last error: {printable(str(error))}"
    return Row(_line("token", text), _TOKEN_STYLES.get(state, "warning" if error else ""))


def _secret_key(key: Mapping[str, Any] | None, now: float) -> Iterator[Row]:
    """Nothing while it is not known."""
    if key is None:
        return
    many = f", the first of {key['keys']}" if key["keys"] > 1 else ""
    if key["expires"] is None:
        yield Row(_line("secret key", f"has no end{many}"))
    else:
        left = (read_iso(key["expires"]) or now) - now
        style = "bad" if left <= 24 * 3600 else "warning" if left <= 30 * 24 * 3600 else ""
        yield Row(_line("secret key", f"ends at {key['expires']}, in {_until(key['expires'], now)}{many}"), style)


def _logins(logins: Mapping[str, Any], now: float) -> Iterator[Row]:
    outcomes = ", ".join(f"{count} {name}" for name, count in logins["by_outcome"].items() if count)
    text = f"{logins['total']}" + (f" ({outcomes})" if outcomes else "")
    if logins["calls_per_login"] is not None:
        text += f", {logins['calls_per_login']:g} calls for each"
    waits = logins["waits"]
    if waits["count"]:
        text += f"; {waits['count']} calls waited, {waits['longest_seconds']:g}s at the longest"
    yield Row(_line("logins", text))
    if logins["blocked_until"] and (left := _until(logins["blocked_until"], now)) != "0s":
        yield Row(_line("", f"blocked for another {left}"), "bad")


def _clock(offset: float | None) -> Iterator[Row]:
    """Nothing before the first login."""
    if offset is not None:
        side = "ahead of" if offset > 0 else "behind"
        yield Row(
            _line("clock", f"BioT's is {abs(offset):g}s {side} ours"), "warning" if abs(offset) > _CLOCK_OFF else ""
        )


def _reload(reload: Mapping[str, Any], now: float) -> Row:
    when = f"{_ago(reload['at'], now)} ago" if reload["at"] else "never"
    if reload["error"]:
        return Row(_line("routes file", f"wrong, the old one is in force: {printable(str(reload['error']))}"), "bad")
    return Row(_line("routes file", f"read {when}"))


def _what_else(route: Mapping[str, Any]) -> str:
    """What the route says beside interception, as far as it is not what most say."""
    if route["deny"] is not None:
        return f"deny: {printable(route['deny'])}"
    if route["would_deny"]:
        return f"would deny {route['would_deny']}"
    if route["authorization"] != "replace":
        return f"authorization {route['authorization']}"
    return f"timeout {show_duration(route['timeout'])}"


def _request_style(status: int) -> str:
    if not status or status >= 500:
        return "bad"
    return "warning" if status >= 400 else ""


def _line(name: str, text: str) -> str:
    return f"  {name:13}{text}"


def _ago(moment: str | None, now: float) -> str:
    seconds = read_iso(moment)
    return "-" if seconds is None else _rounded(now - seconds)


def _until(moment: str, now: float) -> str:
    return _rounded((read_iso(moment) or now) - now)


def _rounded(seconds: float) -> str:
    """Two units at most: 3d4h, 5m20s, 12s."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number}{unit}" if number else "")
    return "".join(parts[:2]) or "0s"
