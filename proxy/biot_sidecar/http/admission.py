"""Who may call at all: the Host that DNS rebinding betrays, a browser's cross-site call, the method, the target."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from biot_sidecar.http.error_catalogue import (
    browser_rejected,
    connect_rejected,
    host_rejected,
    malformed_request,
    target_host_rejected,
    trace_rejected,
)
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.messages import RequestHead

# Host = uri-host [ ":" port ] (RFC 9110, section 7.2); names, IPv4 and bracketed IPv6, no user information.
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)", re.DOTALL)
_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
_BROWSER: Final = 1 << Kind.FETCH_SITE | 1 << Kind.ORIGIN
_CROSS_SITE: Final = frozenset({b"cross-site", b"same-site"})


def host_allowed(value: bytes, allowed: frozenset[bytes]) -> bool:
    """True when `value`, a Host field or an authority, names an allowed host, whatever its port and spelling.

    Loopback addresses always are. Names below `localhost` are what it is (RFC 6761, section 6.3).
    """
    match = _HOST.fullmatch(value)
    if match is None:
        return False
    host = match[1].lower().removesuffix(b".")
    if host in allowed or (host.endswith(b".localhost") and b"localhost" in allowed):
        return True
    try:
        address = ipaddress.ip_address(host.strip(b"[]").decode("ascii"))
    except ValueError:
        return False
    if host.startswith(b"[") is not isinstance(address, ipaddress.IPv6Address):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback or str(address).encode() in allowed


def names_no_host(value: bytes) -> bool:
    """True for what clients of a unix socket put into Host: nothing, or the socket's path."""
    return not value or b"/" in value or b"%2f" in value.lower()


class Admission:
    """The guards of one configuration. `admit` rejects a request or returns its target in origin-form.

    `allowed_hosts` None allows any: the admin listener, which holds nothing that a rebound name could steal. `here` is
    where the sidecar can be called, for hints; known once it listens.
    """

    def __init__(self, allowed_hosts: frozenset[bytes] | None, allowed_origins: frozenset[bytes]) -> None:
        self._hosts = None if allowed_hosts is None else frozenset(map(_canonical, allowed_hosts))
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        self.here = "the address that the sidecar listens on"
        self._seen: set[bytes] = set()  # Host values that passed; few, since each names an allowed host

    def admit(self, head: RequestHead, *, unix: bool = False) -> bytes:
        """The target in origin-form (or `*`). Raises ClientError.

        `unix`: it came over a unix socket, which no browser reaches.
        """
        known_fields = head.known_fields
        if head.method in _REFUSED_METHODS:
            # Before the Host: that of a CONNECT names the tunnel's other end (RFC 9110, section 9.3.6).
            raise connect_rejected(self.here) if head.method == b"CONNECT" else trace_rejected()
        for value in known_fields.get(Kind.HOST, ()):
            if value not in self._seen and not (unix and names_no_host(value)) and not self._host_allowed(value):
                raise host_rejected(self.here) if head.target[0] == 0x2F else target_host_rejected(self.here)
        if head.kinds & _BROWSER:
            self._check_browser(known_fields)
        target = head.target
        return target if target[0] == 0x2F else self._origin_form(head)

    def _host_allowed(self, value: bytes) -> bool:
        if self._hosts is not None and not host_allowed(value, self._hosts):
            return False
        if len(self._seen) < 64 and len(value) <= 255:
            self._seen.add(value)
        return True

    def _check_browser(self, known_fields: dict[int, list[bytes]]) -> None:
        origins = known_fields.get(Kind.ORIGIN)
        if origins is not None:
            rejected = any(origin.lower() not in self._origins for origin in origins)
        else:
            rejected = any(site.lower() in _CROSS_SITE for site in known_fields[Kind.FETCH_SITE])
        if rejected:
            raise browser_rejected()

    def _origin_form(self, head: RequestHead) -> bytes:
        if head.target == b"*" and head.method == b"OPTIONS":
            return head.target
        match = _ABSOLUTE.fullmatch(head.target)
        if match is None:
            raise malformed_request("the target is neither a path nor an http(s) address")
        authority, rest = match.groups()
        if not self._host_allowed(authority):
            raise target_host_rejected(self.here)
        if not rest and head.method == b"OPTIONS":
            return b"*"  # RFC 9112, section 3.2.4
        return rest if rest.startswith(b"/") else b"/" + rest


def _canonical(host: bytes) -> bytes:
    """An allowed host as `host_allowed` looks for it: an address in its shortest form (RFC 5952)."""
    host = host.strip(b"[]").lower()
    try:
        return str(ipaddress.ip_address(host.decode("ascii"))).encode()
    except ValueError:
        return host


def asks_for_icon(head: RequestHead, target: bytes) -> bool:
    """True for a browser that asks for an icon by itself, beside a page that it was refused or shown."""
    if not target.startswith(b"/favicon.ico") or target.partition(b"?")[0] != b"/favicon.ico":
        return False
    return head.method == b"GET" and any(name.lower() == b"sec-fetch-dest" for name, _ in head.headers)
