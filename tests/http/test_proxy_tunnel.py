"""Dialling through a company's proxy: the tunnel, TLS inside TLS, and every way in which the proxy says no."""

from __future__ import annotations

import asyncio

import pytest
from biot_sidecar.errors import Code, ProxyError, UpstreamError
from biot_sidecar.http.dialing import Dialer
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.http.tls import tls_context
from biot_sidecar.settings import UpstreamProxy
from biot_sidecar.settings.proxy_address import parse_proxy

from tests.http.test_upstream_pool import answer_each, exchange
from tests.http.wires import Wires, server
from tests.support.authority import Authority
from tests.support.ports import free_port
from tests.support.scripted_proxy import CLOSE, ScriptedProxy

NAME = "api.biot.test"  # resolves nowhere
USER, PASSWORD = "canary-user", "canary-p@ss"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def proxy_at(port: int, login: str = "", scheme: str = "http") -> UpstreamProxy:
    found = parse_proxy(f"{scheme}://{login}127.0.0.1:{port}", "HTTPS_PROXY")
    assert isinstance(found, UpstreamProxy)
    return found


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel_is_asked_for_by_name_and_its_connection_is_used_again(scheme, proxy_scheme, authority):
    tls = authority.server_context(NAME) if scheme == "https" else None
    proxy_tls = authority.server_context() if proxy_scheme == "https" else None
    context = tls_context(str(authority.ca_file))
    async with server(answer_each, tls) as port:
        proxy = ScriptedProxy({f"{NAME}:8443": port})
        async with proxy.serving(proxy_tls):
            way = proxy_at(proxy.port, "canary-user:canary-p%40ss@", proxy_scheme)
            wires = Wires(8443, context if tls else None, NAME, proxy=way, proxy_tls=context if proxy_tls else None)
            for _ in range(3):
                await exchange(wires)
            (connection,) = wires.pool._idle
            assert wires.pool.idle == 1
            assert connection.sound
            wires.pool.close()
            await asyncio.sleep(0)
    assert proxy.heads == [
        f"CONNECT {NAME}:8443 HTTP/1.1\r\nHost: {NAME}:8443\r\nUser-Agent: agent/1\r\n"
        "Proxy-Authorization: Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBAc3M=\r\n\r\n".encode()
    ]


async def test_a_large_body_comes_whole_through_tls_in_tls(authority):
    size = 3_000_000

    async def much(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await writer.drain()
        await reader.read()

    from tests.http.test_upstream_pool import body_of
    from tests.http.wires import Basin

    context = tls_context(str(authority.ca_file))
    async with server(much, authority.server_context(NAME)) as port:
        proxy = ScriptedProxy({f"{NAME}:443": port})
        async with proxy.serving(authority.server_context()):
            wires = Wires(443, context, NAME, proxy=proxy_at(proxy.port, scheme="https"), proxy_tls=context)
            connection, basin = await wires.dial(), Basin()
            await body_of(wires, connection, await wires.ask(connection), basin)
            wires.pool.release(connection, keep=True)
            assert (len(basin.body), wires.pool.idle) == (size, 1)
            wires.pool.close()
            await asyncio.sleep(0)


async def refused(answer: bytes | None, login: str = "", *, silent: bool = False, tls: Authority | None = None):
    proxy = ScriptedProxy({})
    proxy.answers, proxy.silent = [answer], silent
    async with proxy.serving():
        way = proxy_at(proxy.port, login)
        context = tls_context(str(tls.ca_file)) if tls else None
        address = Wires(443, context, NAME).address
        with pytest.raises(UpstreamError) as raised:
            await Dialer(address, context, Resolver(float), proxy=way, connect_timeout=0.2).connect(Silent())
    failure = raised.value
    assert way.address in failure.message
    assert "canary" not in failure.message + failure.hint + repr(failure) + repr(way)
    return failure


class Silent(asyncio.Protocol):
    written = 0


@pytest.mark.parametrize(
    ("answer", "login", "retryable", "message", "hint"),
    [
        (b"HTTP/1.1 407 Auth\r\n\r\n", "", "", "refused with 407", "It wants a user and a password"),
        (b"HTTP/1.1 407 Auth\r\n\r\n", "canary:canary@", "", "refused with 407", "does not take the user and password"),
        (
            b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "canary:canary@",
            "",
            "refused with 407",
            "It wants Negotiate, NTLM, and the sidecar speaks Basic alone",
        ),
        (
            b'HTTP/1.1 407 Auth\r\nproxy-authenticate: Negotiate, NTLM TlRM==, Basic realm="a, b", x=y\r\n\r\n',
            "",
            "",
            "refused with 407",
            "It wants a user and a password",
        ),
        (
            b'HTTP/1.1 407 Auth\r\nProxy-Authenticate: Digest realm="Basic", qop=auth\r\nVia: Basic\r\n\r\n',
            "canary:canary@",
            "",
            "refused with 407",
            "It wants Digest, and the sidecar speaks Basic alone",
        ),
        (b"HTTP/1.1 401 No\r\n\r\n", "canary:canary@", "", "refused with 401", "does not take the user and password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "", "", "refused with 403", f"Its rules forbid {NAME}:443"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "", "connect", "refused with 502", f"could not reach {NAME}:443"),
        (b"HTTP/1.1 503 \r\n\r\n", "", "connect", "refused with 503", "could not reach"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://sign.in\r\n\r\n", "", "", "refused with 302", "captive portal"),
        (b"HTTP/1.1 405 No\r\n\r\n", "", "", "refused with 405", "not every web server is a proxy"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "", "", "refused with 101", "HTTPS_PROXY"),
        (b"<html>hello</html>", "", "", "not HTTP", "a web server or a sign-in page"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "", "", "not HTTP", "write https:// before it in HTTPS_PROXY"),
        (b"HTTP/1.1 99 Odd\r\n\r\n", "", "", "not HTTP", "HTTPS_PROXY"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "", "", "a page of its own", "a web server or a sign-in page"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 12_000, "", "", "larger than 64 KiB", "HTTPS_PROXY"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 3_000, "", "", "larger than 64 KiB", "HTTPS_PROXY"),
    ],
)
async def test_a_proxy_that_says_no_or_nonsense_is_named_with_a_hint(answer, login, retryable, message, hint):
    failure = await refused(answer, login)
    assert (type(failure), failure.code, failure.retryable) == (ProxyError, Code.PROXY_REFUSED, retryable)
    assert message in failure.message
    assert hint in failure.hint


async def test_an_interim_answer_and_an_answer_in_pieces_are_read_past():
    async def slowly(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Yes\r\nX: y\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
        await answer_each(reader, writer)

    async with server(slowly) as port:
        wires = Wires(80, host=NAME, proxy=proxy_at(port))
        await exchange(wires)
        wires.pool.close()


async def test_a_proxy_that_closes_is_silent_or_not_there_counts_as_unreachable(authority):
    closed = await refused(CLOSE)
    assert "it closed the connection instead of answering CONNECT" in closed.message
    silent = await refused(None, silent=True)
    assert "it did not answer CONNECT within 0.2s" in silent.message
    way = proxy_at(free_port())
    with pytest.raises(ProxyError) as raised:
        await Dialer(Wires(443, None, NAME).address, None, Resolver(float), proxy=way).connect(Silent())
    assert "it refused the connection" in raised.value.message
    for failure in (closed, silent, raised.value):
        assert (failure.code, failure.retryable) == (Code.UPSTREAM_UNREACHABLE, "connect")
        assert isinstance(failure, ProxyError)
        assert failure.hint.startswith("Check HTTPS_PROXY")


async def test_behind_the_tunnel_it_is_biot_that_is_named(authority):
    async def no_tls(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read(1)
        writer.write(b"<html>")
        await writer.drain()

    context = tls_context(str(authority.ca_file))
    async with server(no_tls) as port:
        wires = Wires(443, context, NAME, proxy=proxy_at(port))
        with pytest.raises(UpstreamError) as raised:
            await wires.dial()
    assert (
        raised.value.message
        == f"BioT cannot be reached at {NAME}:443 through the proxy 127.0.0.1:{port}: it speaks no TLS."
    )
    assert raised.value.hint.endswith(f"BIOT_BASE_URL. What answers may also be the proxy 127.0.0.1:{port} itself.")
    assert wires.connects == [False]


async def test_a_tunnel_that_closes_at_once_points_behind_the_proxy(authority):
    """As of a proxy that says 200 before it has reached BioT."""

    async def closes(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()

    async with server(closes) as port:
        wires = Wires(443, tls_context(str(authority.ca_file)), NAME, proxy=proxy_at(port))
        with pytest.raises(UpstreamError) as raised:
            await wires.dial()
    assert "it closed the connection before TLS was agreed upon" in raised.value.message
    assert raised.value.hint == f"Check BIOT_BASE_URL and the network between the proxy 127.0.0.1:{port} and BioT."
    assert raised.value.retryable == "connect"


async def test_an_https_proxy_is_verified_by_the_same_authorities(authority, tmp_path):
    stranger = Authority(tmp_path)
    context = tls_context(str(authority.ca_file))
    proxy = ScriptedProxy({})
    async with proxy.serving(stranger.server_context()):
        wires = Wires(443, context, NAME, proxy=proxy_at(proxy.port, scheme="https"), proxy_tls=context)
        with pytest.raises(ProxyError) as raised:
            await wires.dial()
    assert "its certificate is not trusted" in raised.value.message
    assert proxy.heads == []
