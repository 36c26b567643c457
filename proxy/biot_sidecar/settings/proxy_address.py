"""A proxy's address as people write it -> UpstreamProxy; nothing of it is quoted, since it may hold a password."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from biot_sidecar.settings.addresses import is_host, is_ip
from biot_sidecar.settings.names import UPSTREAM_PROXY
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.values import UpstreamProxy

STRAIGHT: Final = "none"
_FORM: Final = "write http://[user:password@]host:port, or https://..."
_OTHER_KINDS: Final = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h", "ftp"})
_SCHEME: Final = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_HOST_PORT: Final = r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{0,5}))?"


def parse_upstream_proxy(text: str) -> UpstreamProxy | str:
    """SIDECAR_UPSTREAM_PROXY: a proxy, or STRAIGHT. Raises ValueError."""
    return STRAIGHT if text.lower() == STRAIGHT else parse_proxy(text, UPSTREAM_PROXY)


def parse_proxy(text: str, source: str) -> UpstreamProxy:
    """`[http://][user:password@]host[:80]`, `https://...[:443]`. Raises ValueError that quotes nothing of it."""
    scheme, rest = "http", text
    if found := re.match(_SCHEME, text):
        scheme, rest = found[1].lower(), text[found.end() :]
    if scheme not in {"http", "https"}:
        kind = f"a {scheme} proxy" if scheme in _OTHER_KINDS else "of another kind"
        raise ValueError(f"is {kind}, and only http and https proxies can be spoken to; {_FORM}")
    rest, *path = re.split(r"[/?#]", rest, maxsplit=1)
    if any("@" in part for part in path):
        raise ValueError("holds / ? or # in user or password; percent-encode them: %2F %3F %23")
    if any(path):
        raise ValueError(f"has a path, as a proxy's configuration script (PAC) has; {_FORM}")
    login, at, server = rest.rpartition("@")
    found = re.fullmatch(_HOST_PORT, server)
    if found is None or re.search(r"[\x00-\x20\x7f-\U0010ffff]", server):
        raise ValueError(f"is no proxy's address; {_FORM}")
    host = (found[1] or found[2]).lower()
    port = int(found[3] or (443 if scheme == "https" else 80))
    if not is_host(host if is_ip(host) else host.removesuffix(".")) or (found[1] and not is_ip(host)):
        raise ValueError(f"is no proxy's address; {_FORM}")
    if not 0 < port < 65536:
        raise ValueError(f"has no port from 1 to 65535; {_FORM}")
    return UpstreamProxy(
        tls=scheme == "https",
        host=host,
        port=port,
        source=source,
        credentials=_basic_credentials(login) if at and login else None,
    )


def _basic_credentials(login: str) -> Secret:
    """What stands behind `Basic ` (RFC 7617). Raises ValueError."""
    user, _, password = login.partition(":")
    name, word = (unquote_to_bytes(part.encode("utf-8", "surrogateescape")) for part in (user, password))
    if b":" in name or re.search(rb"[\x00-\x1f\x7f]", name + word):
        raise ValueError("has a user or password that Basic cannot carry: a colon in the user, or a control character")
    return Secret(base64.b64encode(name + b":" + word).decode("ascii"))
