"""The proxy on the way to BioT: which one, of SIDECAR_UPSTREAM_PROXY and the variables that other programs read, too.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are shared with the plugin: one that cannot be used here must not stop a
start, so it is warned about and passed over.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from biot_sidecar.settings.addresses import is_ip, is_loopback, leads_to
from biot_sidecar.settings.names import ADMIN_LISTEN, BASE_URL, LISTEN, UPSTREAM_PROXY
from biot_sidecar.settings.proxy_address import STRAIGHT, parse_proxy
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.values import ListenAddress, UpstreamProxy, UpstreamUrl

_BYPASS_PORT: Final = r"(.*?):([0-9]{1,5})"


def choose_upstream_proxy(reader: Reader) -> UpstreamProxy | None:
    """The proxy to go through, None for straight; problems and warnings are the reader's."""
    upstream: UpstreamUrl | None = reader.value(BASE_URL)
    own: UpstreamProxy | str = reader.value(UPSTREAM_PROXY)
    if upstream is None or own == STRAIGHT:
        return None
    if isinstance(own, UpstreamProxy):
        return _own_proxy(reader, upstream, own)
    if _is_local(upstream.host) or bypasses(reader.shared("NO_PROXY")[1], upstream.host, upstream.port):
        return None
    for variable in ("HTTPS_PROXY" if upstream.tls else "HTTP_PROXY", "ALL_PROXY"):
        name, text = reader.shared(variable)
        if text and (proxy := _shared_proxy(reader, name, text)):
            return proxy
    return None


def _own_proxy(reader: Reader, upstream: UpstreamUrl, proxy: UpstreamProxy) -> UpstreamProxy | None:
    if _is_ours(reader, proxy):
        reader.problem(UPSTREAM_PROXY, f"names the sidecar itself (port {proxy.port})")
    elif _is_local(upstream.host):
        reader.warn(UPSTREAM_PROXY, f"is not used: {BASE_URL} names this machine, and loopback never goes through one")
    else:
        return proxy
    return None


def _shared_proxy(reader: Reader, name: str, text: str) -> UpstreamProxy | None:
    try:
        proxy = parse_proxy(text, name)
    except ValueError as error:
        reader.warn(name, f"{error}; it is not used")
        return None
    if _is_ours(reader, proxy):
        reader.warn(name, f"names the sidecar itself (port {proxy.port}); it is not used")
        return None
    return proxy


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """True if NO_PROXY names this host: by name, domain, address, network (CIDR) or `*`, perhaps with a port."""
    name = host.lower().removesuffix(".")
    return any(_names(item.lower(), name, port) for item in re.split(r"[,\s]+", no_proxy) if item)


def _names(item: str, name: str, port: int) -> bool:
    if (
        not is_ip(item)
        and (found := re.fullmatch(_BYPASS_PORT, item))
        and (":" not in found[1] or found[1].endswith("]"))
    ):
        item = found[1]
        if int(found[2]) != port:
            return False
    if item == "*":
        return True
    item = item.removeprefix("[").removesuffix("]")
    if is_ip(name):
        return _holds_address(item, name)
    domain = item.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _holds_address(network: str, address: str) -> bool:
    try:
        return _plain(address) in ipaddress.ip_network(network if "/" in network else _plain(network), strict=False)
    except ValueError:
        return False


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; IPv4 in IPv6's clothes as IPv4. Raises ValueError."""
    one = ipaddress.ip_address(address)
    return getattr(one, "ipv4_mapped", None) or one


def _is_local(host: str) -> bool:
    """True for loopback, and the names that always mean it (RFC 6761, section 6.3)."""
    name = host.lower().removesuffix(".")
    return is_loopback(name) or name.endswith(".localhost")


def _is_ours(reader: Reader, proxy: UpstreamProxy) -> bool:
    """True if a connection to the proxy would arrive at one of our own listeners, as far as one can see."""
    admin: ListenAddress | None = reader.value(ADMIN_LISTEN)
    ours: Iterable[ListenAddress] = (*reader.value(LISTEN), *([admin] if admin else []))
    return any(leads_to(proxy.host, proxy.port, address) for address in ours)
