"""New connections resume the TLS session of an earlier one, as long as what was verified then still holds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

import pytest
import pytest_asyncio
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.tls import tls_context
from biot_sidecar.http.tls_sessions import READ_INTERVAL, VERIFY_INTERVAL
from biot_sidecar.settings.proxy_address import parse_proxy

from tests.http.test_upstream_pool import OK, answer_each, body_of
from tests.http.wires import DEADLINE, Basin, Wires, server
from tests.support.authority import Authority
from tests.support.client_hello import EARLY_DATA, parse_client_hello
from tests.support.scripted_proxy import ScriptedProxy

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NAME = "api.biot.test"


class Serving:
    """A server and the pool that knows it; `resumed` tells of every connection whether it resumed a session."""

    def __init__(self, authority: Authority, context: ssl.SSLContext) -> None:
        self.authority = authority
        self.context = context
        self.resumed: list[bool] = []

    async def script(self, reader, writer):
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await answer_each(reader, writer)

    def trusting(self) -> ssl.SSLContext:
        return tls_context(str(self.authority.ca_file))

    async def call(self, wires: Wires) -> bool:
        """One answer over a connection of its own; whether that resumed a session."""
        connection = await wires.dial()
        await body_of(wires, connection, await wires.ask(connection), Basin())
        wires.pool.release(connection, keep=False)
        return self.resumed[-1]


@pytest.fixture(params=VERSIONS, ids=["TLS 1.2", "TLS 1.3"])
def serving(tmp_path, request):
    authority = Authority(tmp_path)
    context = authority.server_context()
    context.minimum_version = context.maximum_version = request.param
    return Serving(authority, context)


@pytest_asyncio.fixture
async def wires(serving):
    async with server(serving.script, serving.context) as port:
        one = Wires(port, serving.trusting())
        yield one
        one.pool.close()


async def test_a_new_connection_resumes_the_session_of_the_one_before(serving, wires):
    assert [await serving.call(wires) for _ in range(4)] == [False, True, True, True]


async def test_new_cas_and_a_reload_end_it(serving, wires):
    assert [await serving.call(wires) for _ in range(2)] == [False, True]
    wires.pool.trust(serving.trusting())
    assert [await serving.call(wires) for _ in range(2)] == [False, True]
    wires.pool.retire()
    assert [await serving.call(wires) for _ in range(2)] == [False, True]


async def test_a_connection_of_before_leaves_no_session_behind_new_cas(serving, wires):
    connection = await wires.dial()
    wires.pool.trust(serving.trusting())
    await body_of(wires, connection, await wires.ask(connection), Basin())
    wires.pool.release(connection, keep=False)
    assert await serving.call(wires) is False


async def test_cas_that_do_not_trust_the_server_are_not_passed_by(serving, wires, tmp_path):
    assert [await serving.call(wires) for _ in range(2)] == [False, True]
    (tmp_path / "other").mkdir()
    wires.pool.trust(tls_context(str(Authority(tmp_path / "other").ca_file)))
    with pytest.raises(UpstreamError) as raised:
        await serving.call(wires)
    assert "certificate is not trusted" in raised.value.message


async def test_the_server_is_verified_anew_after_an_hour_of_resumptions(serving, wires):
    found = []
    for _ in range(5):
        found.append(await serving.call(wires))
        wires.clocks.sleep(VERIFY_INTERVAL / 3)
    assert found == [False, True, True, False, True]


async def test_no_session_outlives_the_servers_certificate(serving, wires):
    wires.clocks.wall = time.time() + 86_400 - 60  # a minute before that ends
    assert [await serving.call(wires) for _ in range(2)] == [False, True]
    wires.clocks.sleep(60 + DEADLINE)
    assert [await serving.call(wires) for _ in range(2)] == [False, False]


async def test_a_server_that_knows_the_session_no_more_goes_on_by_itself(serving, wires):
    assert [await serving.call(wires) for _ in range(2)] == [False, True]
    elsewhere = Serving(serving.authority, serving.authority.server_context())
    async with server(elsewhere.script, elsewhere.context) as port:
        lead_to(wires, port)
        assert [await elsewhere.call(wires) for _ in range(2)] == [False, False]
        wires.clocks.sleep(READ_INTERVAL)
        assert [await elsewhere.call(wires) for _ in range(2)] == [False, True]


def lead_to(wires: Wires, port: int) -> None:
    """The upstream is another process now, as behind a load balancer."""
    wires.pool._dialer._server = type(wires.address)(tls=True, host="127.0.0.1", port=port, authority=b"x", prefix=b"")


async def test_a_server_that_breaks_off_a_resumption_is_not_offered_another(serving):
    offered = []

    def serve(listening: socket.socket) -> None:
        """By OpenSSL's own hand: whoever offers a session is hung up on."""
        while len(offered) < 4:
            accepted, _ = listening.accept()
            with accepted, contextlib.suppress(OSError):
                hello = parse_client_hello(accepted.recv(65536, socket.MSG_PEEK))
                offered.append(hello.resumes)
                if not hello.resumes:
                    with serving.context.wrap_socket(accepted, server_side=True) as tls:
                        tls.recv(4096)
                        tls.send(OK)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.ensure_future(asyncio.to_thread(serve, listening))
        wires = Wires(listening.getsockname()[1], serving.trusting())
        for resumed in (False, True, False, False):
            connection = None
            with contextlib.suppress(UpstreamError):
                connection = await wires.dial()
            assert (connection is None) is resumed
            if connection is not None:
                await body_of(wires, connection, await wires.ask(connection), Basin())
                wires.pool.release(connection, keep=False)
        await running
    assert offered == [False, True, False, False]


async def test_no_data_is_ever_sent_before_the_handshake(serving, wires):
    """TLS 1.3's early data can be replayed by anybody on the way."""
    await serving.call(wires)
    hellos = []

    async def listen(reader, writer):
        hellos.append(parse_client_hello(await reader.read(65536)))

    async with server(listen) as port:
        lead_to(wires, port)
        with pytest.raises(UpstreamError):
            await wires.dial()
    assert [hello.resumes for hello in hellos] == [True]
    assert EARLY_DATA not in hellos[0].extensions


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
async def test_sessions_are_resumed_through_a_proxy_and_with_it(serving, proxy_scheme):
    context = serving.authority.server_context(NAME)
    proxy_context = serving.authority.server_context() if proxy_scheme == "https" else None
    async with server(serving.script, context) as port:
        proxy = ScriptedProxy({f"{NAME}:443": port})
        async with proxy.serving(proxy_context):
            way = parse_proxy(f"{proxy_scheme}://127.0.0.1:{proxy.port}", "HTTPS_PROXY")
            trusted = serving.trusting()
            wires = Wires(443, trusted, NAME, proxy=way, proxy_tls=trusted if proxy_context else None)
            assert [await serving.call(wires) for _ in range(3)] == [False, True, True]
            wires.pool.close()
            await asyncio.sleep(0)
    assert proxy_context is None or proxy_context.session_stats()["hits"] == 2


async def test_logins_resume_too(serving, wires):
    deadlines = DeadlineTimer(asyncio.get_running_loop(), asyncio.get_running_loop().time)
    fetch = Fetcher(wires.pool, wires.address, deadlines, b"agent/1")
    for _ in range(3):
        await fetch(b"GET", b"/x", [], b"", timeout=5, limit=100)
    deadlines.close()
    assert serving.resumed == [False, True, True]
