"""One finished request as the inspector shows it: frozen, and already without anything that must not be shown."""

from __future__ import annotations

import msgspec

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.inspector.masking import Field, shown_fields
from biot_sidecar.telemetry.redact import query_keys
from biot_sidecar.telemetry.snapshot import METHODS, OTHER


class Durations(msgspec.Struct, frozen=True):
    """Seconds. The parts add up to `total`; `pause` is between tries, `rest` bodies, other tries and our own work."""

    total: float
    token: float
    connect: float
    first_byte: float
    pause: float
    rest: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is wall-clock seconds, `token_age` seconds or None, sizes are bytes; empty texts mean "none".

    `number` counts what the inspector has seen; `id` is the request's in the log.
    """

    number: int
    id: int
    at: float
    method: str
    template: str
    query: list[str]
    rule: str
    source: str
    interception: str
    authorization: str
    status: int
    upstream_status: int
    code: str
    refused: str
    would_deny: str
    durations: Durations
    tries: int
    retries: tuple[str, ...]
    token_age: float | None
    token_result: str
    reused: bool
    request_bytes: int
    response_bytes: int
    client_gone: bool
    cut: bool
    trace_id: str
    request_headers: tuple[Field, ...]
    response_headers: tuple[Field, ...]


def record_of(exchange: Exchange, number: int) -> Record:
    """What may be shown of the exchange."""
    verdict = exchange.verdict
    return Record(
        number=number,
        id=exchange.number,
        at=exchange.at,
        method=METHODS.get(exchange.method, OTHER),
        template="" if verdict is None else verdict.template,
        query=query_keys(exchange.query),
        rule="" if verdict is None else verdict.route.name,
        source="" if verdict is None else verdict.route.source,
        interception="none" if exchange.refused else exchange.interception,
        authorization="" if verdict is None else verdict.route.authorization.value,
        status=exchange.status,
        upstream_status=exchange.upstream_status,
        code="" if exchange.code is None else exchange.code.value,
        refused=exchange.refused,
        would_deny=_would_deny(exchange),
        durations=durations_of(exchange),
        tries=exchange.tries,
        retries=exchange.retries,
        token_age=_token_age(exchange),
        token_result=exchange.token_result,
        reused=exchange.reused,
        request_bytes=exchange.request_bytes,
        response_bytes=exchange.response_bytes,
        client_gone=exchange.client_gone or not (exchange.status or exchange.cut),
        cut=exchange.cut,
        trace_id=exchange.trace_id,
        request_headers=shown_fields(exchange.request_headers),
        response_headers=shown_fields(exchange.response_headers),
    )


def durations_of(exchange: Exchange) -> Durations:
    """Where the time went; `first_byte` is the last try's."""
    total = exchange.finished - exchange.started
    parts = exchange.token_wait, exchange.connect, exchange.first_byte, exchange.paused
    return Durations(total, *parts, max(0.0, total - sum(parts)))


def _would_deny(exchange: Exchange) -> str:
    """The reason of the route that would have denied it, had it `deny` where it has `observe`."""
    observed = None if exchange.verdict is None else exchange.verdict.observed
    return "" if observed is None or observed.observe is None else f"{observed.name}: {observed.observe}"


def _token_age(exchange: Exchange) -> float | None:
    """A token that the request had to wait for is younger than the request: 0."""
    if exchange.token_age < 0:
        return 0.0 if exchange.token_result == "wait" else None
    return exchange.token_age
