"""Why no connection to BioT came about, or one ended in TLS: in words that say what to look at."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import Final

from biot_sidecar.errors import CLIENT_CERTIFICATE, Code, ProxyError, UpstreamError
from biot_sidecar.settings import UpstreamProxy

CHECK: Final = "Check BIOT_BASE_URL and the network between here and BioT."
# X.509 verification (openssl/x509_vfy.h).
_WRONG_NAME: Final = frozenset({62, 63, 64})
_WRONG_TIME: Final = frozenset({9, 10})
MORE_THREADS: Final = "Raise the limit of processes and threads (the container's pids limit, ulimit -u, TasksMax=)."
_MEMORY: Final = ("this machine has no memory left for sockets", "Give the machine or the container more memory.")
_FORBIDDEN: Final = ("this machine forbids it", "Look at the local firewall and the container's policy.")
_LOCAL: Final = {
    errno.EMFILE: ("no file descriptors are left for it here", "Raise the limit of open files (ulimit -n)."),
    errno.ENFILE: ("this machine has no file descriptors left", "Look for what holds them; fs.file-max is the limit."),
    errno.EADDRNOTAVAIL: (
        "no local port is left for it",
        "Look for what holds them (ss -s); net.ipv4.ip_local_port_range is the limit.",
    ),
    errno.ENOBUFS: _MEMORY,
    errno.ENOMEM: _MEMORY,
    errno.EPERM: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
}
"""Causes on this side: no look at BioT helps."""


class NoTls(ssl.SSLError):
    """The server's first byte begins no TLS record."""


class ClosedInHandshake(ConnectionError):
    """The server closed the connection instead of finishing the handshake."""


class SilentInHandshake(TimeoutError):
    """The server took the connection and did not finish the handshake in time."""


class ClosedByProxy(ConnectionError):
    """The proxy closed the connection instead of answering CONNECT."""


class SilentProxy(TimeoutError):
    """The proxy took the connection and did not answer CONNECT in time."""


class NoThread(OSError):
    """The system allows no thread in which the name could be looked up."""


class SlowLookUp(TimeoutError):
    """The name was looked up for `seconds`, in vain."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def unreachable(error: OSError | TimeoutError, server: str, seconds: float, via: str = "") -> UpstreamError:
    """Name a failed dial of `server` (host and port), which had `seconds`; nothing of a request was sent.

    `via` is the proxy whose tunnel stood.
    """
    check = f"Check BIOT_BASE_URL and the network between the proxy {via} and BioT." if via else CHECK
    reason, hint = _reason(error, seconds, "BIOT_BASE_URL", check)
    if via and isinstance(error, NoTls):
        hint = f"{hint} What answers may also be the proxy {via} itself."
    through = f" through the proxy {via}" if via else ""
    return UpstreamError(
        Code.UPSTREAM_UNREACHABLE,
        f"BioT cannot be reached at {server}{through}: {reason}.",
        hint=hint,
        retryable="connect",
    )


def proxy_unreachable(
    error: OSError | TimeoutError, proxy: UpstreamProxy, server: str, seconds: float
) -> UpstreamError:
    """Name a failed dial of the proxy on the way to `server`."""
    check = f"Check {proxy.source} and the network between here and the proxy."
    reason, hint = _reason(error, seconds, proxy.source, check)
    return ProxyError(
        Code.UPSTREAM_UNREACHABLE,
        f"BioT cannot be reached at {server}: the proxy {proxy.address} cannot be used; {reason}.",
        hint=hint,
        retryable="connect",
    )


def tls_broken(error: ssl.SSLError, server: str) -> UpstreamError:
    """Name what ended TLS after the handshake, before an answer: in TLS 1.3 the server judges our half of it later."""
    reason, hint = _tls_reason(error, "BIOT_BASE_URL", CHECK)
    return UpstreamError(
        Code.UPSTREAM_UNREACHABLE, f"BioT at {server} ended the connection: {reason}.", hint=hint, retryable="reset"
    )


def _reason(error: OSError | TimeoutError, seconds: float, setting: str, check: str) -> tuple[str, str]:
    """What went wrong, and what to look at: `check` where nothing closer is known. `setting` named the server."""
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error, setting, check)
    if isinstance(error, NoThread):
        return "no thread can be started here to look up its name", MORE_THREADS
    number = _number(error)
    return _LOCAL.get(number) or (_network_reason(error, number, seconds), check)


def _tls_reason(error: ssl.SSLError, setting: str, check: str) -> tuple[str, str]:
    """What went wrong in TLS, and what to look at."""
    if isinstance(error, NoTls):
        return "it speaks no TLS", f"Check scheme and port of {setting}."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message.rstrip('.')})", _distrust(
            error.verify_code, setting
        )
    alert = re.search(r"ALERT_(.+)", error.reason or "")
    if alert is None:
        return f"TLS failed ({(error.reason or 'no reason given').replace('_', ' ').lower()})", check
    name = alert[1].replace("_", " ").lower()
    if "certificate" in name or name == "handshake failure":
        return f"it refused TLS with the alert {name!r}", CLIENT_CERTIFICATE
    return f"it refused TLS with the alert {name!r}", check


def _distrust(code: int, setting: str) -> str:
    if code in _WRONG_NAME:
        return f"Check {setting}: what answers there is another server."
    if code in _WRONG_TIME:
        return "Check this machine's clock; if it is right, the server needs a new certificate."
    return (
        f"Check {setting}; an authority of your own, such as that of a proxy that inspects TLS, goes into "
        "SIDECAR_EXTRA_CA_FILE."
    )


def _network_reason(error: OSError, number: int, seconds: float) -> str:
    if isinstance(error, SlowLookUp):
        return f"its name was looked up for {error.seconds:g}s in vain"
    if isinstance(error, SilentProxy):
        return f"it did not answer CONNECT within {seconds:g}s"
    if isinstance(error, ClosedByProxy):
        return "it closed the connection instead of answering CONNECT"
    if isinstance(error, SilentInHandshake):
        return f"it took the connection, but TLS was not agreed upon within {seconds:g}s"
    if isinstance(error, ClosedInHandshake):
        return "it closed the connection before TLS was agreed upon"
    if isinstance(error, socket.gaierror):
        return "its name could not be resolved"
    if number == errno.ECONNREFUSED:
        return "it refused the connection"
    if isinstance(error, TimeoutError):
        return f"connecting timed out after {seconds:g}s" if number == 0 else "connecting timed out"
    return f"the connection failed ({error.strerror or type(error).__name__})"


def _number(error: OSError) -> int:
    """The error's number; the first one's, where several addresses were tried, which a loop tells as text; 0: none."""
    if isinstance(error, socket.gaierror):
        return 0
    if error.errno is not None:
        return error.errno
    found = re.search(r"\[Errno (\d+)\]", str(error))
    return int(found[1]) if found else 0
