"""Which fields go on, which stop, and what we say ourselves (RFC 9110, section 7.6).

Strip first, then inject: what the client names in Connection, or spells like one of our names, is gone before our own
fields are written, so nothing of the client's can remove or double them.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from biot_sidecar.auth.placeholder import is_placeholder
from biot_sidecar.http.header_fields import FRAMING, KINDS, REQUEST_STOPS, Kind, kind_of, sort_fields
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
_TRANSFER_ENCODING: Final = Kind.TRANSFER_ENCODING
# A trailer must not carry what frames, routes or authorizes a message (RFC 9110, section 6.5.1).
_TRAILER_STOPS: Final = REQUEST_STOPS | FRAMING | {Kind.EXPECT}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
NO_STOPS: Final[frozenset[int]] = frozenset()
_RULED: Final = frozenset({b"authorization", b"allow-interception"})
_TRACE_FIELDS: Final = frozenset({b"traceparent", b"tracestate"})
# Options of Connection that name no field to strip.
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


def interception_action(rule: Route, values: list[bytes] | None) -> str:
    """What happens to `allow-interception`, as metrics call it: set, removed, passed or none."""
    if rule.interception is _ON:
        return "set"
    if values is None:
        return "none"
    if rule.interception is _CLIENT and any(value.lower() not in NO_VALUE for value in values):
        return "passed"
    return "removed"


def looks_false(values: list[bytes]) -> bool:
    """True when a plugin seems to mean "off" with a value that BioT reads as "on"."""
    return any(value.lower() in FALSE_LOOKING for value in values)


def takes_own_token(rule: Route, values: list[bytes] | None) -> bool:
    """True when the request goes out with the service user's token; `values` are the client's Authorization fields."""
    if rule.authorization is _REPLACE:
        return True
    return rule.authorization is _KEEP and (values is None or all(map(is_placeholder, values)))


def request_lines(head: RequestHead, rule: Route, user_agent: bytes, traceparent: bytes) -> bytes:
    """The field lines that are the same for every try: all but Host and the service user's Authorization.

    `user_agent` stands in where the client sent none. `traceparent` is the client's, or stands in for one that is
    missing or invalid, and so would be ignored (W3C Trace Context, section 4.3).
    """
    special = head.special
    lines = head.lines
    if rule.interception is _CLIENT or rule.authorization is _KEEP:
        lines = _plugins_own(head, rule)
    if head.connection and (stripped := head.connection - _PERSISTENCE):
        # Whether one of these goes through is the rule's to say, whatever Connection says of it.
        lines = _without(lines, stripped - _RULED)
        special = {kind: values for kind, values in special.items() if _NAMES.get(kind) not in stripped}
    if _USER_AGENT not in special:
        lines = [*lines, b"User-Agent: " + user_agent]
    elif b"" in special[_USER_AGENT]:
        # An empty User-Agent trips BioT's firewall as a missing one does (BioT docs, request headers and WAF).
        lines = [*_without(lines, {b"user-agent"}), b"User-Agent: " + user_agent]
    if _TRACEPARENT not in special or traceparent not in special[_TRACEPARENT]:
        if (_TRACEPARENT in special or _TRACESTATE in special) and not _sent(head, traceparent):
            lines = _without(lines, _TRACE_FIELDS)
        lines = [*lines, b"traceparent: " + traceparent]
    if rule.interception is _ON:
        lines = [*lines, b"allow-interception: 1"]
    if _TE in head.special and head.modern and _takes_trailers(head.special[_TE]):
        lines = [*lines, b"TE: trailers", b"Connection: TE"]
    return b"\r\n".join(lines)


def _sent(head: RequestHead, traceparent: bytes) -> bool:
    """True when the client sent it; if it was made here, tracestate belongs to another trace (W3C, section 4.3)."""
    return traceparent in head.special.get(_TRACEPARENT, ())


def _takes_trailers(values: list[bytes]) -> bool:
    """True when TE holds `trailers`, which means the same on every connection on the way (RFC 9110, 10.1.4)."""
    return any(member.strip(b" \t") == b"trailers" for value in values for member in value.lower().split(b","))


def _plugins_own(head: RequestHead, rule: Route) -> list[bytes]:
    """The lines that may go on where a rule lets the plugin speak for itself, in their order."""
    special = head.special
    passed: set[int] = set()
    if rule.interception is _CLIENT and _INTERCEPTION in special:
        passed.add(_INTERCEPTION)
    if rule.authorization is _KEEP and _AUTHORIZATION in special and not takes_own_token(rule, special[_AUTHORIZATION]):
        passed.add(_AUTHORIZATION)
    if not passed:
        return head.lines
    return sort_fields([field for field in head.fields if _may_go(field, passed)], NO_STOPS)[0]


def _may_go(field: tuple[bytes, bytes], passed: Set[int]) -> bool:
    kind = kind_of(field[0])
    if kind == _INTERCEPTION and field[1].strip(b" \t").lower() in NO_VALUE:
        return False
    return kind in passed or kind not in REQUEST_STOPS


def _without(lines: list[bytes], names: Set[bytes]) -> list[bytes]:
    """`lines` less the fields of those names; what frames the message stays, whatever Connection says of it."""
    return [line for line in lines if (name := _name(line)) not in names or KINDS.get(name) in FRAMING]


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def request_start(head: RequestHead, target: bytes, authority: bytes) -> bytes:
    """The request line and Host. `target` is origin-form, with the base URL's prefix already before it."""
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, authority)


def response_bytes(head: ResponseHead, *, modern: bool, close: bool, chunk: bool = False) -> bytes:
    """An answer's head as the client gets it: as it came, without what belonged to the upstream's connection.

    `modern` is False for an HTTP/1.0 client, which knows no chunks; `close` says that the connection ends after it;
    `chunk` that a body which came without chunks goes on in them.
    """
    if modern and not (close or chunk):
        if not head.rendered:
            head.rendered = _render(head, modern=True, close=False, chunk=False)
        return head.rendered
    return _render(head, modern=modern, close=close, chunk=chunk)


def _render(head: ResponseHead, *, modern: bool, close: bool, chunk: bool) -> bytes:
    lines = head.lines
    if head.connection and (stripped := head.connection - _PERSISTENCE):
        lines = _without(lines, stripped)
    if not modern and _TRANSFER_ENCODING in head.special:
        lines = [line for line in lines if _name(line) != b"transfer-encoding"]
    if chunk:
        lines = [*lines, b"Transfer-Encoding: chunked"]
    if close:
        lines = [*lines, b"Connection: close"]
    return b"\r\n".join([b"HTTP/1.1 %d %b" % (head.status, head.reason), *lines, b"", b""])


def safe_trailers(fields: Headers) -> Headers:
    """The trailer fields that may go on."""
    return [field for field in fields if kind_of(field[0]) not in _TRAILER_STOPS]
