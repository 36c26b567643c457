"""The tunnel through a company's proxy: CONNECT with BioT's name, and what the proxy's answer means (RFC 9110, 9.3.6).

ProxyTunnel reads the proxy's connection only until a 2xx; then the protocol above takes that connection over, so that a
tunnel costs nothing per byte. BioT's name goes to the proxy as it is and need not resolve here.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, cast

from biot_sidecar.errors import Code, ProxyError
from biot_sidecar.http.connect_errors import ClosedByProxy
from biot_sidecar.http.sockets import hand_over
from biot_sidecar.http.tls_transport import TlsTransport
from biot_sidecar.settings import UpstreamProxy

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of the proxy's answer, interim ones included."""
_STATUS_LINE: Final = rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n"
_BEGINNING: Final = b"HTTP/1."
_END: Final = rb"\r?\n\r?\n"
_CHALLENGES: Final = rb"(?im)^proxy-authenticate:([^\r\n]*)"
# Of a list whose items are schemes, each perhaps with its first parameter, and further parameters (RFC 9110, 11.6.1).
_SCHEME: Final = rb"(?:^|,)[ \t]*([A-Za-z]+)(?=[ \t]*(?:,|$)|[ \t]+[^ \t=,])"
_TLS_ALERT: Final = 0x15
_OTHER_LOGINS: Final = {b"negotiate": "Negotiate", b"ntlm": "NTLM", b"digest": "Digest", b"kerberos": "Kerberos"}


def connect_request(server: str, proxy: UpstreamProxy, user_agent: bytes) -> bytes:
    """Ask for a tunnel to `server`, host and port."""
    authority = server.encode("ascii")
    lines = [b"CONNECT %b HTTP/1.1" % authority, b"Host: " + authority]
    if user_agent:
        lines.append(b"User-Agent: " + user_agent)
    if proxy.credentials is not None:
        lines.append(b"Proxy-Authorization: Basic " + proxy.credentials.reveal().encode("ascii"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


class ProxyTunnel(asyncio.Protocol):
    """Asks for a tunnel; gives the connection to `above` once it stands. `ready` ends with that, or with its failure.

    `above` is a protocol that counts in `written` the bytes that it handed to a TCP transport.
    """

    def __init__(self, request: bytes, above: Any, refusals: ProxyRefusals) -> None:
        self._request = request
        self._above = above
        self._refusals = refusals
        self._head = b""
        self._received = 0  # bytes
        self._transport: Any = None
        self.stands = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Any, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            return
        self._head += bytes(data)
        self._received += len(data)
        refusal = self._refusals.endless() if self._received > HEAD_LIMIT else self._judge()
        if refusal is not None:
            self.ready.set_exception(refusal)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ClosedByProxy())

    def _judge(self) -> ProxyError | None:
        """What has come so far is a refusal, or else no whole answer, or the tunnel, which is handed on."""
        while True:
            if not self._head.startswith(_BEGINNING[: len(self._head)]):
                return self._refusals.no_http(tls=self._head[0] == _TLS_ALERT)
            end = re.search(_END, self._head)
            if end is None:
                return None
            line = re.match(_STATUS_LINE, self._head)
            if line is None:
                return self._refusals.no_http()
            status = int(line[1])
            head, self._head = self._head[: end.end()], self._head[end.end() :]
            if status >= 200 or status == 101:
                break  # other interim answers (RFC 9110, section 15.2) are read past
            if not self._head:
                return None
        if not 200 <= status < 300:
            return self._refusals.status(status, head)
        if self._head:
            return self._refusals.page()  # neither TLS's server nor HTTP's speaks first
        self._hand_over()
        return None

    def _hand_over(self) -> None:
        transport, above = self._transport, self._above
        if not isinstance(transport, TlsTransport):
            above.written += len(self._request)  # of what the kernel counts; over TLS the transport counts it itself
        self.stands = True
        self.ready.set_result(None)
        transport.pause_reading()
        hand_over(transport, above)


class ProxyRefusals:
    """Names what is wrong with a proxy's answer to CONNECT. `server` is BioT's host and port."""

    def __init__(self, proxy: UpstreamProxy, server: str) -> None:
        self._proxy = proxy
        self._server = server

    def status(self, status: int, head: bytes = b"") -> ProxyError:
        """It answered with this, which is not 2xx."""
        return self._refused(f"refused with {status}", self._hint(status, head), retried=status >= 500)

    def no_http(self, *, tls: bool = False) -> ProxyError:
        """What it answered is no HTTP."""
        if tls:
            hint = f"It answers in TLS: write https:// before it in {self._proxy.source}."
            return self._refused("gave an answer that is not HTTP", hint)
        return self._refused("gave an answer that is not HTTP", self._no_proxy())

    def endless(self) -> ProxyError:
        return self._refused("gave an answer whose head is larger than 64 KiB", self._no_proxy())

    def page(self) -> ProxyError:
        """It sent a page of its own instead of a tunnel."""
        return self._refused("answered with a page of its own", self._no_proxy())

    def _refused(self, what: str, hint: str, *, retried: bool = False) -> ProxyError:
        return ProxyError(
            Code.PROXY_REFUSED,
            f"The proxy {self._proxy.address} {what} when asked for a tunnel to {self._server}.",
            hint=hint,
            retryable="connect" if retried else "",
        )

    def _no_proxy(self) -> str:
        return f"What answers there may be a web server or a sign-in page, not a proxy: check {self._proxy.source}."

    def _hint(self, status: int, head: bytes) -> str:
        proxy = self._proxy
        if status in {401, 407}:  # 401 is tinyproxy's for wrong credentials
            return self._login_hint(head)
        if status == 403:
            return f"Its rules forbid {self._server}: let whoever runs the proxy allow it."
        if status >= 500:
            return (
                f"The proxy could not reach {self._server}: check BIOT_BASE_URL, and ask whoever runs the proxy; if "
                "BioT is reached without one, set NO_PROXY or SIDECAR_UPSTREAM_PROXY=none."
            )
        if status < 400:
            return f"It may be a sign-in page (captive portal), or no proxy: check {proxy.source}."
        return f"Check {proxy.source}: not every web server is a proxy, and not every proxy allows CONNECT."

    def _login_hint(self, head: bytes) -> str:
        source = self._proxy.source
        offered = {one.lower() for line in re.findall(_CHALLENGES, head) for one in re.findall(_SCHEME, line)}
        if offered and b"basic" not in offered:
            named = (
                ", ".join(text for name, text in _OTHER_LOGINS.items() if name in offered) or "another kind of login"
            )
            return f"It wants {named}, and the sidecar speaks Basic alone: ask for a user with Basic, or an exception."
        if self._proxy.credentials is None:
            return f"It wants a user and a password: http://USER:PASSWORD@HOST:PORT in {source}, percent-encoded."
        return f"It does not take the user and password in {source}: check them, and that they are percent-encoded."
