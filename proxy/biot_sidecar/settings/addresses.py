"""Addresses in settings: where to listen, whom to call."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final
from urllib.parse import urlsplit

from biot_sidecar.platform import WHY_NO_UNIX_SOCKETS
from biot_sidecar.settings.values import ListenAddress, UpstreamUrl

_PORT: Final = re.compile(r"[0-9]{1,5}")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# Some of them urlsplit drops without a word.
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """True for a host name in ASCII or an address, without brackets."""
    return is_ip(text) or _HOST_NAME.fullmatch(text) is not None


def parse_address(text: str, no_unix: str = WHY_NO_UNIX_SOCKETS) -> ListenAddress:
    """`HOST:PORT`, `[::1]:PORT` or `unix:PATH`. Raises ValueError with a sentence for the user."""
    if text.startswith("unix:"):
        if no_unix:
            raise ValueError(f"{text!r}: {no_unix}; write HOST:PORT, such as 127.0.0.1:8787")
        path = text.removeprefix("unix:")
        if not path or len(os.fsencode(path)) > 107:
            raise ValueError(f"{text!r} needs a path of 1 to 107 bytes after unix:")
        return ListenAddress(host="", path=path)
    return parse_tcp_address(text, "HOST:PORT, [::1]:PORT or unix:PATH, such as 127.0.0.1:8787")


def parse_tcp_address(text: str, expected: str) -> ListenAddress:
    """`HOST:PORT` or `[::1]:PORT`. Raises ValueError with what is `expected`."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{text!r} is no address; write {expected}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, such as [::1]:8787")
    if not host:
        raise ValueError(f"{text!r} names no host; write 127.0.0.1:{port}, or 0.0.0.0:{port} for every address")
    if not is_host(host):
        raise ValueError(f"{text!r}: {host!r} is no host name or address")
    return ListenAddress(host=host, port=int(port))


def parse_base_url(text: str) -> UpstreamUrl:
    """The upstream of BIOT_BASE_URL. Raises ValueError with a sentence for the user that shows no password."""
    example = "write it as https://api.<env>.<customer>.biot-med.com"
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f"is no address; {example}") from None
    if _UNSEEN.search(text):
        raise ValueError(f"holds white space or a control character; {example}")
    if url.username is not None or url.password is not None or ("@" in text and not url.netloc):
        raise ValueError("holds a user name or password; the sidecar takes them from the BIOT_SERVICE_USER settings")
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        raise ValueError(f"{text!r} is no https:// address; {example}")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("holds a query or fragment; only scheme, host, port and path prefix have a meaning")
    host = url.hostname
    name = host if is_ip(host) else host.removesuffix(".")  # the final dot is for DNS alone: no search domains
    if not is_host(name):
        raise ValueError(f"{host!r} is no host name or address; write names in ASCII (punycode)")
    if is_loopback(name):  # no name for DNS (RFC 6761, section 6.3)
        host = name
    prefix = url.path.rstrip("/")
    if re.search(r"[^\x21-\x7e]|%(?![0-9A-Fa-f]{2})|\\|(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)", prefix):
        raise ValueError(f"the path {prefix!r} holds characters or dot segments that do not belong there")
    tls = url.scheme == "https"
    default = 443 if tls else 80
    shown = f"[{name}]" if ":" in name else name
    authority = shown if port in {None, default} else f"{shown}:{port}"
    return UpstreamUrl(
        tls=tls,
        host=host,
        port=default if port is None else port,
        authority=authority.encode("ascii"),
        prefix=prefix.encode("ascii"),
    )


def leads_to(host: str, port: int, address: ListenAddress) -> bool:
    """True when a connection to host and port would arrive at `address`, as far as one can see."""
    name = host.lower().removesuffix(".")
    if not address.port or address.port != port:
        return False
    if name == address.host.lower():
        return True
    if not is_loopback(name):
        return False
    if is_ip(name) and is_ip(address.host) and is_loopback(address.host):
        return name == address.host
    return True  # names, and every address


def is_ip(host: str) -> bool:
    """True for an IPv4 or IPv6 address, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
