"""The values that a request passes on: heads of requests and responses, and how bodies are framed; all unchanging."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

Headers = list[tuple[bytes, bytes]]
"""Field lines in wire order, names in the sender's case, values without white space around them (RFC 9110, 5)."""


class BodyFraming(IntEnum):
    """How a message's end is found (RFC 9112, section 6.3)."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


# For the forwarding path: a member looked up through its class costs 0.1 us, and a request takes dozens.
BODY_NONE: Final = BodyFraming.NONE
BODY_LENGTH: Final = BodyFraming.LENGTH
BODY_CHUNKED: Final = BodyFraming.CHUNKED
BODY_UNTIL_CLOSE: Final = BodyFraming.UNTIL_CLOSE


class Framing:
    """The framing of one message's body; `length` in bytes counts only for `BodyFraming.LENGTH`."""

    __slots__ = ("body", "length")

    def __init__(self, body: BodyFraming, length: int = 0) -> None:
        self.body: Final = body
        self.length: Final = length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Framing) and self.body == other.body and self.length == other.length

    def __hash__(self) -> int:
        return hash((self.body, self.length))


NO_BODY: Final = Framing(BodyFraming.NONE)


class RequestHead:
    """A request's head as the client sent it; nobody changes it.

    `target` is bytes from beginning to end. `fields` are as they came, `headers` without white space around the values;
    `field_lines` are the fields that may go on, rendered; `known_fields` the values of those that mean something to a
    proxy, by header_fields.Kind, and `kinds` a bit for each of these; `connection` the options of Connection, in lower
    case. Not HTTP/1.1 is HTTP/1.0.
    """

    __slots__ = (
        "connection",
        "field_lines",
        "fields",
        "framing",
        "headers",
        "is_http11",
        "keep_alive",
        "kinds",
        "known_fields",
        "method",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        fields: Headers,
        headers: Headers,
        field_lines: list[bytes],
        known_fields: dict[int, list[bytes]],
        framing: Framing,
        is_http11: bool,
        keep_alive: bool,
        connection: frozenset[bytes],
        kinds: int,
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.headers = headers
        self.field_lines = field_lines
        self.known_fields = known_fields
        self.framing = framing
        self.is_http11 = is_http11
        self.keep_alive = keep_alive
        self.connection = connection
        self.kinds = kinds


class ResponseHead:
    """A response's head as the upstream sent it; `field_lines` and `connection` as in RequestHead.

    `rendered` is the one thing that comes later: the head as most clients get it, made by http.header_rules for the
    first of the answers that begin with it.
    """

    __slots__ = (
        "connection",
        "field_lines",
        "framing",
        "headers",
        "keep_alive",
        "known_fields",
        "reason",
        "rendered",
        "status",
    )

    def __init__(
        self,
        status: int,
        reason: bytes,
        headers: Headers,
        field_lines: list[bytes],
        known_fields: dict[int, list[bytes]],
        framing: Framing,
        connection: frozenset[bytes],
        keep_alive: bool,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.field_lines = field_lines
        self.known_fields = known_fields
        self.framing = framing
        self.connection = connection
        self.keep_alive = keep_alive
        self.rendered = b""


class Response(msgspec.Struct, frozen=True):
    """A whole response of the upstream to a request of our own (a login): status, headers and body, read to the end."""

    status: int
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"Response(status={self.status}, body of {len(self.body)} bytes)"
