"""How BioT is recognised and spoken to: TLS 1.2 or newer, always verified."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from proxy.errors import BadSettings
from proxy.net.resolver import Resolver
from proxy.net.tls_transport import TlsTransport
from proxy.net.unreachable import SilentInHandshake
from proxy.pipeline.signal import timeout


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the system's CAs, or only those in `ca_file`. Raises BadSettings.

    Not ssl.create_default_context: that one obeys SSLKEYLOGFILE and would write the session's keys to a file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    unreadable = False
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError):
        unreadable = True
    if unreadable:
        raise BadSettings([f"SIDECAR_CA_FILE: {ca_file} holds no certificates in PEM form"])
    return context


async def connect_tls(
    protocol: asyncio.Protocol, host: str, port: int, context: ssl.SSLContext, *, seconds: float, resolver: Resolver
) -> None:
    """Connect to a server that proves to be `host`, within so many seconds. Raises OSError and TimeoutError."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    # A name's final dot is DNS's alone (RFC 6066, section 3); certificates don't have it.
    stream = TlsTransport(protocol, context, host.removesuffix("."), ready)
    try:
        with timeout(seconds):
            await resolver.connect(cast(asyncio.Protocol, stream), host, port)
            await ready
        return
    except TimeoutError:
        pass
    finally:
        if not ready.done() or ready.cancelled() or ready.exception() is not None:
            stream.abort()
    raise SilentInHandshake if stream.connected else TimeoutError
