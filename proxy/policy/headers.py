"""Which fields go on, which stop, and what we say ourselves (RFC 9110, section 7.6).

Strip first, then inject: what the client names in Connection, or spells like one of our names, is gone before our own
fields are written, so nothing of the client's can remove or double them.
"""

from __future__ import annotations

from typing import Final

from proxy.message import Headers, RequestHead, ResponseHead
from proxy.policy.fields import Kind, kind_of
from proxy.policy.placeholder import is_placeholder
from proxy.policy.rules import Authorization, Interception, Rule

FALSE_LOOKING: Final = frozenset({b"false", b"0", b"no", b"off"})
NO_VALUE: Final = frozenset({b"", b"null"})

# Enum members as module constants: a look-up through the class costs 0.1 us, and a request takes dozens.
_ON, _CLIENT = Interception.ON, Interception.CLIENT
_REPLACE, _KEEP = Authorization.REPLACE, Authorization.KEEP
_HOST: Final = Kind.HOST
_AUTHORIZATION: Final = Kind.AUTHORIZATION
_INTERCEPTION: Final = Kind.INTERCEPTION
_USER_AGENT: Final = Kind.USER_AGENT
_TRACEPARENT: Final = Kind.TRACEPARENT
_TRANSFER_ENCODING: Final = Kind.TRANSFER_ENCODING
_HOP: Final = frozenset({Kind.HOP, Kind.CONNECTION})
_REQUEST_STOPS: Final = _HOP | {_HOST, Kind.ALIAS}
# What a message is framed by stays, whatever Connection says: it was judged, and the body goes out as it came in.
_FRAMING: Final = frozenset({Kind.CONTENT_LENGTH, _TRANSFER_ENCODING})
# A trailer must not carry what frames, routes or authorizes a message (RFC 9110, section 6.5.1).
_TRAILER_STOPS: Final = _REQUEST_STOPS | _FRAMING | {_AUTHORIZATION, _INTERCEPTION, Kind.EXPECT}
# Options of Connection that name no field to strip.
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


def interception_action(rule: Rule, values: list[bytes] | None) -> str:
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


def takes_own_token(rule: Rule, values: list[bytes] | None) -> bool:
    """True when the request goes out with the service user's token; `values` are the client's Authorization fields."""
    if rule.authorization is _REPLACE:
        return True
    return rule.authorization is _KEEP and (values is None or all(map(is_placeholder, values)))


def request_lines(head: RequestHead, rule: Rule, user_agent: bytes, traceparent: bytes) -> bytes:
    """The field lines that are the same for every try: all but Host and the service user's Authorization.

    `user_agent` and `traceparent` stand in where the client sent none.
    """
    stopped = _stopped_kinds(head, rule)
    stripped = head.connection - _PERSISTENCE
    lines: list[bytes] = []
    seen = set()
    for name, value in head.headers:
        kind = kind_of(name)
        if kind and (kind in stopped or _says_nothing(kind, value)):
            continue
        if stripped and name.lower() in stripped and kind not in _FRAMING:
            continue
        seen.add(kind)
        lines += (name, b": ", value, b"\r\n")
    if _USER_AGENT not in seen:
        lines += (b"User-Agent: ", user_agent, b"\r\n")
    if _TRACEPARENT not in seen:
        lines += (b"traceparent: ", traceparent, b"\r\n")
    if rule.interception is _ON:
        lines.append(b"allow-interception: 1\r\n")
    return b"".join(lines)


def _stopped_kinds(head: RequestHead, rule: Rule) -> frozenset[int]:
    authorization = head.special.get(_AUTHORIZATION)
    keeps = rule.authorization is _KEEP and not takes_own_token(rule, authorization)
    return _STOPPED[keeps, rule.interception is _CLIENT]


_STOPPED: Final = {
    (keeps, client): _REQUEST_STOPS
    | (frozenset() if keeps else {_AUTHORIZATION})
    | (frozenset() if client else {_INTERCEPTION})
    for keeps in (True, False)
    for client in (True, False)
}


def _says_nothing(kind: int, value: bytes) -> bool:
    """An empty User-Agent trips BioT's firewall; a null `allow-interception` is none (BioT docs, making API calls)."""
    if kind == _INTERCEPTION:
        return value.lower() in NO_VALUE
    return kind == _USER_AGENT and not value


def request_start(head: RequestHead, target: bytes, authority: bytes) -> bytes:
    """The request line and Host. `target` is origin-form, with the base URL's prefix already before it."""
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, authority)


def response_bytes(head: ResponseHead, *, modern: bool, close: bool) -> bytes:
    """An answer's head as the client gets it: as it came, without what belonged to the upstream's connection.

    `modern` is False for an HTTP/1.0 client, which knows no chunks; `close` says that the connection ends after it.
    """
    stripped = head.connection - _PERSISTENCE
    parts = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
    for name, value in head.headers:
        kind = kind_of(name)
        if kind and (kind in _HOP or (kind == _TRANSFER_ENCODING and not modern)):
            continue
        if stripped and name.lower() in stripped and kind not in _FRAMING:
            continue
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"Connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(parts)


def safe_trailers(fields: Headers) -> Headers:
    """The trailer fields that may go on."""
    return [field for field in fields if kind_of(field[0]) not in _TRAILER_STOPS]
