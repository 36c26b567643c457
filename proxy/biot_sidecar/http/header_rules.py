"""Which fields go on, which stop, and what we say ourselves (RFC 9110, section 7.6).

Strip first, then inject: what the client names in Connection, or spells like one of our names, is gone before our own
fields are written, so nothing of the client's can remove or double them.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from biot_sidecar.auth.placeholder import is_placeholder
from biot_sidecar.http.header_fields import FRAMING, KINDS, NOT_FORWARDED, Kind, classify_fields, kind_of
from biot_sidecar.http.messages import Headers, RequestHead, ResponseHead
from biot_sidecar.routing.route import Authorization, Interception, Route

FALSE_LOOKING: Final = frozenset({b"false", b"0", b"no", b"off"})
NO_VALUE: Final = frozenset({b"", b"null"})

# Enum members as module constants: a look-up through the class costs 0.1 us, and a request takes dozens.
_ON: Final = Interception.ON
_CLIENT: Final = Interception.CLIENT
_REPLACE: Final = Authorization.REPLACE
_KEEP: Final = Authorization.KEEP
_AUTHORIZATION: Final = Kind.AUTHORIZATION
_INTERCEPTION: Final = Kind.INTERCEPTION
_USER_AGENT: Final = Kind.USER_AGENT
_TRACEPARENT: Final = Kind.TRACEPARENT
_TRACESTATE: Final = Kind.TRACESTATE
_TE: Final = Kind.TE
_TE_BIT: Final = 1 << Kind.TE
_TRANSFER_ENCODING: Final = Kind.TRANSFER_ENCODING
# A trailer must not carry what frames, routes or authorizes a message (RFC 9110, section 6.5.1).
_NOT_IN_TRAILERS: Final = NOT_FORWARDED | FRAMING | {Kind.EXPECT}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
NO_KINDS: Final[frozenset[int]] = frozenset()
_RULED: Final = frozenset({b"authorization", b"allow-interception"})
_TRACE_FIELDS: Final = frozenset({b"traceparent", b"tracestate"})
_TRACEPARENT_FIELD: Final = frozenset({b"traceparent"})
_NOTHING: Final[Set[bytes]] = frozenset()
# Options of Connection that name no field to strip.
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


def interception_action(route: Route, values: list[bytes] | None) -> str:
    """What happens to `allow-interception`, as metrics call it: set, removed, passed or none."""
    if route.interception is _ON:
        return "set"
    if values is None:
        return "none"
    if route.interception is _CLIENT and any(value.lower() not in NO_VALUE for value in values):
        return "passed"
    return "removed"


def looks_false(values: list[bytes]) -> bool:
    """True when a plugin seems to mean "off" with a value that BioT reads as "on"."""
    return any(value.lower() in FALSE_LOOKING for value in values)


def sends_service_token(route: Route, values: list[bytes] | None) -> bool:
    """True when the request goes out with the service user's token; `values` are the client's Authorization fields."""
    if route.authorization is _REPLACE:
        return True
    return route.authorization is _KEEP and (values is None or all(map(is_placeholder, values)))


def request_lines(head: RequestHead, route: Route, user_agent: bytes, traceparent: bytes) -> bytes:
    """The field lines that are the same for every try: all but Host and the service user's Authorization.

    `user_agent` stands in where the client sent none. `traceparent` is the client's, or goes on with its trace, or
    stands in for one that is missing or invalid, and so would be ignored (W3C Trace Context, section 4.3).
    """
    known_fields = head.known_fields
    field_lines = head.field_lines
    if route.interception is _CLIENT or route.authorization is _KEEP:
        field_lines = _client_field_lines(head, route)
    if head.connection and (stripped := head.connection - _PERSISTENCE):
        # Whether one of these goes through is the rule's to say, whatever Connection says of it.
        field_lines = _without_fields(field_lines, stripped - _RULED)
        known_fields = {kind: values for kind, values in known_fields.items() if _NAMES.get(kind) not in stripped}
    if _USER_AGENT not in known_fields:
        field_lines = [*field_lines, b"User-Agent: " + user_agent]
    elif b"" in known_fields[_USER_AGENT]:
        # An empty User-Agent trips BioT's firewall as a missing one does (BioT docs, request headers and WAF).
        field_lines = [*_without_fields(field_lines, {b"user-agent"}), b"User-Agent: " + user_agent]
    if _TRACEPARENT not in known_fields or traceparent not in known_fields[_TRACEPARENT]:
        if _TRACEPARENT in known_fields or _TRACESTATE in known_fields:
            field_lines = _without_fields(field_lines, _left_behind(head, traceparent))
        field_lines = [*field_lines, b"traceparent: " + traceparent]
    if route.interception is _ON:
        field_lines = [*field_lines, b"allow-interception: 1"]
    if head.kinds & _TE_BIT and head.is_http11 and _takes_trailers(head.known_fields[_TE]):
        field_lines = [*field_lines, b"TE: trailers", b"Connection: TE"]
    return b"\r\n".join(field_lines)


def _left_behind(head: RequestHead, traceparent: bytes) -> Set[bytes]:
    """Which of the client's trace fields do not go on: none with its own traceparent, that one alone with another of
    its trace; if a new trace was begun, tracestate belongs to another (W3C Trace Context, section 4.3).
    """
    sent = head.known_fields.get(_TRACEPARENT, ())
    if traceparent in sent:
        return _NOTHING
    trace_id = traceparent[3:35]
    return _TRACEPARENT_FIELD if any(one[3:35] == trace_id for one in sent) else _TRACE_FIELDS


def _takes_trailers(values: list[bytes]) -> bool:
    """True when TE holds `trailers`, which means the same on every connection on the way (RFC 9110, 10.1.4)."""
    return any(member.strip(b" \t") == b"trailers" for value in values for member in value.lower().split(b","))


def _client_field_lines(head: RequestHead, route: Route) -> list[bytes]:
    """The lines that may go on where a rule lets the plugin speak for itself, in their order."""
    known_fields = head.known_fields
    passed: set[int] = set()
    if route.interception is _CLIENT and _INTERCEPTION in known_fields:
        passed.add(_INTERCEPTION)
    if (
        route.authorization is _KEEP
        and _AUTHORIZATION in known_fields
        and not sends_service_token(route, known_fields[_AUTHORIZATION])
    ):
        passed.add(_AUTHORIZATION)
    if not passed:
        return head.field_lines
    return classify_fields([field for field in head.fields if _may_go(field, passed)], NO_KINDS)[0]


def _may_go(field: tuple[bytes, bytes], passed: Set[int]) -> bool:
    kind = kind_of(field[0])
    if kind == _INTERCEPTION and field[1].strip(b" \t").lower() in NO_VALUE:
        return False
    return kind in passed or kind not in NOT_FORWARDED


def _without_fields(field_lines: list[bytes], names: Set[bytes]) -> list[bytes]:
    """`lines` less the fields of those names; what frames the message stays, whatever Connection says of it."""
    return [line for line in field_lines if (name := _name(line)) not in names or KINDS.get(name) in FRAMING]


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def request_start(head: RequestHead, target: bytes, authority: bytes) -> bytes:
    """The request line and Host. `target` is origin-form, with the base URL's prefix already before it."""
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, authority)


def response_bytes(head: ResponseHead, *, is_http11: bool, close: bool, chunk: bool = False) -> bytes:
    """An answer's head as the client gets it: as it came, without what belonged to the upstream's connection.

    `modern` is False for an HTTP/1.0 client, which knows no chunks; `close` says that the connection ends after it;
    `chunk` that a body which came without chunks goes on in them.
    """
    if is_http11 and not (close or chunk):
        if not head.rendered:
            head.rendered = _render(head, is_http11=True, close=False, chunk=False)
        return head.rendered
    return _render(head, is_http11=is_http11, close=close, chunk=chunk)


def _render(head: ResponseHead, *, is_http11: bool, close: bool, chunk: bool) -> bytes:
    field_lines = head.field_lines
    if head.connection and (stripped := head.connection - _PERSISTENCE):
        field_lines = _without_fields(field_lines, stripped)
    if not is_http11 and _TRANSFER_ENCODING in head.known_fields:
        field_lines = [line for line in field_lines if _name(line) != b"transfer-encoding"]
    if chunk:
        field_lines = [*field_lines, b"Transfer-Encoding: chunked"]
    if close:
        field_lines = [*field_lines, b"Connection: close"]
    return b"\r\n".join([b"HTTP/1.1 %d %b" % (head.status, head.reason), *field_lines, b"", b""])


def safe_trailers(fields: Headers) -> Headers:
    """The trailer fields that may go on."""
    return [field for field in fields if kind_of(field[0]) not in _NOT_IN_TRAILERS]
