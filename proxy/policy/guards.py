"""Who may call at all: the Host that DNS rebinding betrays, a browser's cross-site call, the method, the target."""

from __future__ import annotations

import re
from typing import Final

from proxy.errors import ClientFault, Code
from proxy.message import RequestHead
from proxy.policy.faults import refused, tunnel_refused
from proxy.policy.fields import Kind

OWN_PATHS: Final = frozenset({b"/metrics", b"/healthz", b"/readyz"})
OWN_PREFIX: Final = b"/_sidecar"
_OWN_BEGINNINGS: Final = frozenset({b"m", b"h", b"r", b"_", b"%", b"/"})
"""What follows the first slash of one of ours, however it is spelled."""

# Host = uri-host [ ":" port ] (RFC 9110, section 7.2); names, IPv4 and bracketed IPv6, no user information.
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)", re.DOTALL)
_LOOPBACK: Final = re.compile(rb"127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
_CROSS_SITE: Final = frozenset({b"cross-site", b"same-site"})
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def host_allowed(value: bytes, allowed: frozenset[bytes]) -> bool:
    """True when `value`, a Host field or an authority, names an allowed host, whatever its port."""
    match = _HOST.fullmatch(value)
    if match is None:
        return False
    host = match[1].strip(b"[]").lower().removesuffix(b".")
    return host in allowed or _LOOPBACK.fullmatch(host) is not None


class Guards:
    """The guards of one configuration. `check` refuses; what it returns is the target in origin-form.

    `allowed_hosts` None allows any: the admin listener, which holds nothing that a rebound name could steal.
    """

    def __init__(self, allowed_hosts: frozenset[bytes] | None, allowed_origins: frozenset[bytes]) -> None:
        self._hosts = None if allowed_hosts is None else frozenset(host.strip(b"[]").lower() for host in allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        self._seen: set[bytes] = set()  # Host values that passed; few, since each names an allowed host

    def check(self, head: RequestHead) -> bytes:
        """The target in origin-form (or `*`). Raises ClientFault."""
        special = head.special
        if head.method in _REFUSED_METHODS:
            # Before the Host: that of a CONNECT names the tunnel's other end (RFC 9110, section 9.3.6).
            raise tunnel_refused(head.method.decode())
        for value in special.get(Kind.HOST, ()):
            if value not in self._seen:
                self._check_host(value)
        if Kind.FETCH_SITE in special or Kind.ORIGIN in special:
            self._check_browser(special)
        target = head.target
        return target if target[0] == 0x2F else self._origin_form(head)

    def _check_host(self, value: bytes) -> None:
        if self._hosts is not None and not host_allowed(value, self._hosts):
            raise ClientFault(
                Code.HOST_REFUSED,
                "The Host header names a host that is not served here.",
                reason="host",
                hint="Call http://localhost:8787 or http://127.0.0.1:8787, or add the name to SIDECAR_ALLOWED_HOSTS.",
            )
        if len(self._seen) < 64 and len(value) <= 255:
            self._seen.add(value)

    def _check_browser(self, special: dict[int, list[bytes]]) -> None:
        origins = special.get(Kind.ORIGIN)
        if origins is not None:
            refused = any(origin.lower() not in self._origins for origin in origins)
        else:
            refused = any(site.lower() in _CROSS_SITE for site in special[Kind.FETCH_SITE])
        if refused:
            raise ClientFault(
                Code.BROWSER_REFUSED,
                "A web page of another site may not call the sidecar.",
                reason="browser",
                hint="If the page is yours, add its origin to SIDECAR_ALLOWED_ORIGINS.",
            )

    def _origin_form(self, head: RequestHead) -> bytes:
        if head.target == b"*" and head.method == b"OPTIONS":
            return head.target
        match = _ABSOLUTE.fullmatch(head.target)
        if match is None:
            raise refused("the target is neither a path nor an http(s) address")
        authority, rest = match.groups()
        self._check_host(authority)
        if not rest and head.method == b"OPTIONS":
            return b"*"  # RFC 9112, section 3.2.4
        return rest if rest.startswith(b"/") else b"/" + rest


def own_path(target: bytes) -> bytes | None:
    """The path when `target` belongs to the sidecar itself, in its plain spelling, else None.

    Any spelling that BioT might read as one of ours counts: escapes, doubled and final slashes.
    """
    if target[1:2] not in _OWN_BEGINNINGS:
        return None
    path = target.partition(b"?")[0]
    if b"%" in path or b"//" in path or path.endswith(b"/"):
        path = _plain(path)
    if path in OWN_PATHS or path == OWN_PREFIX or path.startswith(OWN_PREFIX + b"/"):
        return path
    return None


def _plain(path: bytes) -> bytes:
    decoded = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), path)
    return b"/" + b"/".join(segment for segment in decoded.split(b"/") if segment)
