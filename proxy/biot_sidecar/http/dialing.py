"""Dials BioT: every address of its name, or of the proxy's on the way, then the proxy's tunnel, then TLS.

The addresses are raced (RFC 8305, "Happy Eyeballs"): IPv6 and IPv4 in turn, the one that worked last first, the next
one 250 ms after the one before or as soon as that has failed; the first that connects wins. The look-up has its own
limit; CONNECT_TIMEOUT is for connecting alone, tunnel and TLS included.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.connect_errors import (
    SilentInHandshake,
    SilentProxy,
    SlowLookUp,
    proxy_unreachable,
    unreachable,
)
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.handshake_pacing import HandshakePacer
from biot_sidecar.http.proxy_tunnel import ProxyRefusals, ProxyTunnel, connect_request
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.http.sockets import hand_over
from biot_sidecar.http.tls import certified_name
from biot_sidecar.http.tls_sessions import TlsSessions
from biot_sidecar.http.tls_transport import TlsTransport
from biot_sidecar.settings import UpstreamProxy, UpstreamUrl

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for connecting, all addresses, the tunnel and TLS together."""
LOOK_UP_TIMEOUT: Final = 8.0
"""Seconds for the look-up: more than the 5 s after which the system's asks its second name server (resolv.conf(5))."""
WRITE_LIMIT: Final = 16 * 1024
"""Bytes that wait until the system takes them before the sender is paused: a TLS record. (The loops' own is 64 KiB.)"""
STAGGER: Final = 0.25
"""Seconds between one address and the next (RFC 8305, section 5)."""

Result = TypeVar("Result")


class Dialer:
    """Connects protocols to the one upstream, through `proxy` if there is one.

    `path` names a unix socket to dial instead. `address_failed` is told of every address that cannot be connected to.
    `make_sessions`: connections resume the TLS sessions of earlier ones.
    """

    def __init__(
        self,
        server: UpstreamUrl,
        tls: ssl.SSLContext | None,
        resolver: Resolver,
        *,
        proxy: UpstreamProxy | None = None,
        proxy_tls: ssl.SSLContext | None = None,
        user_agent: bytes = b"",
        path: str = "",
        address_failed: Callable[[str], None] = lambda address: None,
        make_sessions: Callable[[], TlsSessions] | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        look_up_timeout: float = LOOK_UP_TIMEOUT,
    ) -> None:
        self.tls = tls
        self.proxy_tls = proxy_tls
        self.server = _host_port(server.host.removesuffix("."), server.port)
        self.via = "" if proxy is None else proxy.address
        self._server = server
        self._resolver = resolver
        self._proxy = proxy
        self._path = path
        self._address_failed = address_failed
        self._connect_timeout = connect_timeout
        self._look_up_timeout = look_up_timeout
        self._pacer = HandshakePacer()
        self._make_sessions = make_sessions
        self.forget()
        self._connect_request = b"" if proxy is None else connect_request(self.server, proxy, user_agent)

    def trust(self, context: ssl.SSLContext) -> None:
        """Verify by this whatever is spoken to by TLS, from now on."""
        self.tls = context if self.tls is not None else None
        self.proxy_tls = context if self.proxy_tls is not None else None
        self.forget()

    def forget(self) -> None:
        """Resume no TLS session of before, and look the name up anew."""
        self._resolver.forget()
        make = self._make_sessions
        self.sessions: TlsSessions | None = None if make is None else make()
        self.proxy_sessions: TlsSessions | None = None if make is None else make()

    async def connect(self, protocol: asyncio.Protocol, needed: Callable[[], bool] | None = None) -> str:
        """Connect `protocol` and tell the address that took us.

        Raises UpstreamError, or NotNeeded: a dial that knows whether it is `needed` waits its turn for the handshake,
        and is given up if it is not. Nothing is left open then.
        """
        dial = _Dial(protocol, needed)
        addresses: Sequence[str] = ()
        try:
            if self._path:
                with timeout(self._connect_timeout):
                    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, self._path)
                return self._path
            addresses = await self._look_up()
            with timeout(self._connect_timeout):
                return await self._connect(dial, addresses)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            dial.abort()
            if dial.transport is None and addresses:
                self._give_up(addresses)
            failure = self._named(error, dial)
        except BaseException:
            dial.abort()
            raise
        raise failure

    async def _look_up(self) -> Sequence[str]:
        """Raises OSError and TimeoutError."""
        host, port = (self._server.host, self._server.port) if self._proxy is None else self._proxy_host_port()
        try:
            with timeout(self._look_up_timeout):
                return await self._resolver.addresses(host, port)
        except TimeoutError:
            pass
        raise SlowLookUp(self._look_up_timeout)

    def _give_up(self, addresses: Sequence[str]) -> None:
        """None of them took the connection: they are dead, and the name may lead elsewhere by now."""
        self._resolver.forget()
        for address in addresses:
            self._address_failed(address)

    def _proxy_host_port(self) -> tuple[str, int]:
        assert self._proxy is not None  # noqa: S101 - for types
        return self._proxy.host, self._proxy.port

    async def _connect(self, dial: _Dial, addresses: Sequence[str]) -> str:
        """Raises OSError, TimeoutError, ProxyError and NotNeeded."""
        proxy, server = self._proxy, self._server
        port = server.port if proxy is None else proxy.port
        dial.transport, address = await self._race(addresses, port)
        if dial.needed is not None and (self.tls is not None or self.proxy_tls is not None):
            await self._pacer.turn(dial.needed)
        hand_over(dial.transport, dial.layers(self, server, proxy))
        for stage in dial.stages:
            dial.stage = stage
            await stage.ready
        return address

    async def _race(self, addresses: Sequence[str], port: int) -> tuple[Any, str]:
        """The first connection to come about. Raises OSError, the first address's, if none does."""

        async def attempt(address: str) -> tuple[Any, str]:
            try:
                return await open_transport(address, port), address
            except OSError:
                self._address_failed(address)
                raise

        transport, address = await first_of(
            [partial(attempt, one) for one in interleaved(addresses, self._resolver.worked)],
            STAGGER,
            lambda late: late[0].abort(),
        )
        self._resolver.worked = address
        return transport, address

    def _named(self, error: OSError | TimeoutError, dial: _Dial) -> UpstreamError:
        """The failure in words: the proxy's as long as its tunnel did not stand."""
        seconds = self._connect_timeout
        if isinstance(error, TimeoutError) and dial.transport is not None:
            in_handshake = self._proxy is None or isinstance(dial.stage, _Handshake)
            error = SilentInHandshake() if in_handshake else SilentProxy()
        if self._proxy is not None and not dial.through:
            return proxy_unreachable(error, self._proxy, self.server, seconds)
        return unreachable(error, self.server, seconds, via=self.via)


class _Handshake:
    """A TLS handshake to wait for, with the proxy or with BioT."""

    def __init__(
        self, above: asyncio.Protocol, context: ssl.SSLContext, host: str, sessions: TlsSessions | None
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stream = TlsTransport(above, context, certified_name(host), self.ready, sessions)


class _Dial:
    """One dial under way: what stands on the socket, from TLS with the proxy up to `protocol`."""

    def __init__(self, protocol: asyncio.Protocol, needed: Callable[[], bool] | None) -> None:
        self._protocol = protocol
        self.needed = needed
        self.transport: Any = None
        self.stages: list[_Handshake | ProxyTunnel] = []
        self.stage: _Handshake | ProxyTunnel | None = None
        self._tunnel: ProxyTunnel | None = None

    def layers(self, dialer: Dialer, server: UpstreamUrl, proxy: UpstreamProxy | None) -> asyncio.Protocol:
        """Build them from the top; the lowest one."""
        lowest = self._protocol
        if dialer.tls is not None:
            lowest = self._add_tls(lowest, dialer.tls, server.host, dialer.sessions)
        if proxy is not None:
            lowest = self._tunnel = ProxyTunnel(dialer._connect_request, lowest, ProxyRefusals(proxy, dialer.server))
            self.stages.insert(0, self._tunnel)
            if proxy.tls and dialer.proxy_tls is not None:
                lowest = self._add_tls(lowest, dialer.proxy_tls, proxy.host, dialer.proxy_sessions)
        return lowest

    def _add_tls(
        self, above: asyncio.Protocol, context: ssl.SSLContext, host: str, sessions: TlsSessions | None
    ) -> asyncio.Protocol:
        handshake = _Handshake(above, context, host, sessions)
        self.stages.insert(0, handshake)
        return cast(asyncio.Protocol, handshake.stream)

    @property
    def through(self) -> bool:
        """True once the proxy's tunnel stands."""
        return self._tunnel is not None and self._tunnel.stands

    def abort(self) -> None:
        """Leave nothing open, and no failure unread."""
        for stage in self.stages:
            if not stage.ready.cancel() and not stage.ready.cancelled():
                stage.ready.exception()
        if self.transport is not None:
            self.transport.abort()


async def open_transport(address: str, port: int) -> Any:
    """A TCP connection to an address; nothing is read of it yet. Raises OSError."""
    transport, _ = await asyncio.get_running_loop().create_connection(_Unread, address, port)
    transport.set_write_buffer_limits(WRITE_LIMIT)
    return transport


class _Unread(asyncio.Protocol):
    """Stands on a connection until it is known whether that one is used, and by whom."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).pause_reading()


def interleaved(addresses: Sequence[str], first: str = "") -> list[str]:
    """The families in turn, from the first address's (RFC 8305, section 4); `first` before all, if it is there."""
    rest = [one for one in addresses if one != first]
    ordered = [first] if len(rest) < len(addresses) else []
    begins = ordered or rest
    is_v6 = ":" in begins[0] if begins else False
    families = [[one for one in rest if (":" in one) is family] for family in (is_v6, not is_v6)]
    if ordered:
        families.reverse()
    while any(families):
        if families[0]:
            ordered.append(families[0].pop(0))
        families.reverse()
    return ordered


async def first_of(
    attempts: Sequence[Callable[[], Awaitable[Result]]], stagger: float, discard: Callable[[Result], None]
) -> Result:
    """The first attempt to succeed; the next begins `stagger` seconds after the one before, or when that has failed.

    What others still bring is discarded. Raises the first attempt's OSError if all fail.
    """
    if len(attempts) == 1:
        return await attempts[0]()
    running: list[asyncio.Future[Result]] = []
    waiting = list(attempts)
    failures: dict[asyncio.Future[Result], BaseException] = {}
    winner: asyncio.Future[Result] | None = None
    try:
        while waiting or len(failures) < len(running):
            if waiting:
                running.append(asyncio.ensure_future(waiting.pop(0)()))
            under_way = [one for one in running if one not in failures]
            done, _ = await asyncio.wait(
                under_way, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in under_way:
                error = one.exception() if one in done else None
                if error is not None:
                    failures[one] = error
                elif one in done:
                    winner = one
                    return one.result()
    finally:
        for one in running:
            if one is not winner:
                one.cancel()
                one.add_done_callback(lambda late: _discard_late(late, discard))
    if not running:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    raise failures[running[0]]


def _discard_late(late: asyncio.Future[Result], discard: Callable[[Result], None]) -> None:
    if not late.cancelled() and late.exception() is None:
        discard(late.result())


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
