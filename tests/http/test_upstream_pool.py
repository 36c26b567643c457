"""Dialling, the pool, and where an answer ends, over real sockets and on both loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct

import pytest
from biot_sidecar.errors import CLIENT_CERTIFICATE, Code, UpstreamError
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.connect_errors import unreachable
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.dialing import Dialer
from biot_sidecar.http.framing import response_head
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.http.tls import tls_context
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.http.upstream_pool import IDLE_LIMIT, PROBE_AFTER, SPARE, SURPLUS_REST

from tests.http.wires import DEADLINE, Basin, Wires, server, settled
from tests.support.authority import Authority
from tests.support.ports import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSE_DELIMITED = b"HTTP/1.1 200 OK\r\n\r\nwhole"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


async def answer_each(reader, writer):
    """A 200 for each request, for as long as they come."""
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


async def wait_for_end(reader, writer):
    await reader.read()


def then(raw: bytes, *, reset: bool = False, ragged: bool = False):
    """One request, `raw`, and the end: a clean one, a reset, or TLS without a half_close."""

    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        if reset:
            sock = writer.get_extra_info("socket")
            with socket.socket(fileno=socket.dup(sock.fileno())) as raw_socket:
                raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif ragged:
            with socket.socket(fileno=socket.dup(writer.get_extra_info("socket").fileno())) as raw_socket:
                raw_socket.shutdown(socket.SHUT_WR)
            await reader.read()

    return script


async def body_of(wires: Wires, connection, raw: bytes, basin: Basin) -> None:
    head = response_head(raw, b"GET")
    connection.expect_body(head.framing)
    connection.relay_to(basin)
    await wires.until(lambda: connection.body_done or connection.lost or connection.failure)


async def in_use(wires: Wires) -> UpstreamConnection:
    """A connection that has answered a whole request, and was not given back."""
    connection = wires.pool.take() or await wires.dial()
    await body_of(wires, connection, await wires.ask(connection), Basin())
    return connection


async def exchange(wires: Wires) -> None:
    """A whole request and answer, the connection given back after it."""
    wires.pool.release(await in_use(wires), keep=True)


async def test_a_resting_connection_holds_nothing_of_its_last_answer():
    async def set_cookies(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: canary\r\nContent-Length: 2\r\n\r\nok")

    async with server(set_cookies) as port:
        wires = Wires(port)
        await exchange(wires)
        assert wires.pool.idle == 1
        (resting,) = wires.pool._idle
        held = [value for name in dir(resting) if isinstance(value := getattr(resting, name, None), bytes | bytearray)]
        assert not any(b"canary" in value for value in held)
        await exchange(wires)
        assert wires.connects == [True]
        wires.pool.close()


# ---- the pool


async def test_a_connection_is_used_again_after_a_whole_answer():
    async with server(answer_each) as port:
        wires = Wires(port)
        for _ in range(3):
            await exchange(wires)
        assert wires.connects == [True]
        assert (wires.pool.idle, wires.pool.active) == (1, 0)
        wires.pool.close()


async def test_bytes_on_a_resting_connection_make_it_unusable():
    speak = asyncio.Event()

    async def talkative(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await speak.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read()

    async with server(talkative) as port:
        wires = Wires(port)
        await exchange(wires)
        speak.set()
        await settled(lambda: wires.pool.idle == 0)
        assert wires.pool.take() is None


@pytest.mark.parametrize(
    "early", [OK, b"HTTP/1.1 200 OK\r\nX-", b"SSH-2.0-x\r\n"], ids=["a head", "part of one", "none"]
)
async def test_what_comes_before_the_first_request_is_no_answer_to_it(early):
    async def talks_first(reader, writer):
        writer.write(early)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async with server(talks_first) as port:
        wires = Wires(port)
        connection = await wires.dial()
        await settled(lambda: connection.activity)
        assert await wires.ask(connection) is None or connection.failure
        assert "it came before the request" in connection.failure.message
        wires.pool.release(connection, keep=False)


async def test_bytes_behind_an_answer_make_its_connection_unusable():
    async with server(then(OK + b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        wires = Wires(port)
        await exchange(wires)
        assert wires.pool.idle == 0


async def test_a_resting_connection_that_the_upstream_closed_is_not_used():
    goodbye = asyncio.Event()

    async def polite(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await goodbye.wait()

    async with server(polite) as port:
        wires = Wires(port)
        await exchange(wires)
        goodbye.set()
        await settled(lambda: wires.pool.idle == 0)


async def test_a_farewell_that_the_loop_has_not_seen_yet_is_found_by_asking_the_kernel():
    goodbye = asyncio.Event()
    gone = asyncio.Event()

    async def polite(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await goodbye.wait()
        writer.close()
        gone.set()

    async with server(polite) as port:
        wires = Wires(port)
        connection = await wires.dial()
        await body_of(wires, connection, await wires.ask(connection), Basin())
        wires.pool.release(connection, keep=True)
        connection.transport.pause_reading()
        goodbye.set()
        await gone.wait()
        await settled(connection.has_input)
        wires.clocks.sleep(PROBE_AFTER)
        assert wires.pool.take() is None


async def test_an_answer_that_comes_with_the_end_of_its_connection_leaves_nothing_in_the_pool():
    async with server(then(OK)) as port:
        for _ in range(5):
            wires = Wires(port)
            connection = await wires.dial()
            raw = await wires.ask(connection)
            await body_of(wires, connection, raw, Basin())
            await settled(connection.transport.is_closing)
            wires.pool.release(connection, keep=True)
            assert wires.pool.idle == 0


@pytest.mark.parametrize("jump", [-30.0, 30.0])
async def test_no_connection_from_before_a_jump_of_the_clock_is_used(jump):
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        wires.clocks.wall += jump
        assert wires.pool.take() is None


async def test_connections_that_rested_too_long_are_closed():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        wires.clocks.sleep(IDLE_LIMIT)
        wires.pool.expire_idle()
        assert wires.pool.idle == 1
        wires.clocks.sleep(1.0)
        assert wires.pool.take() is None
        await exchange(wires)
        wires.clocks.sleep(IDLE_LIMIT + 1.0)
        wires.pool.expire_idle()
        assert wires.pool.idle == 0


async def test_what_a_burst_left_in_the_pool_is_closed_early():
    async with server(answer_each) as port:
        wires = Wires(port)
        connections = [await wires.dial() for _ in range(SPARE + 8)]
        for connection in connections:
            await body_of(wires, connection, await wires.ask(connection), Basin())
            wires.pool.release(connection, keep=True)
        wires.clocks.sleep(SURPLUS_REST)
        wires.pool.expire_idle()
        assert wires.pool.idle == SPARE + 8
        wires.clocks.sleep(1.0)
        wires.pool.expire_idle()
        assert wires.pool.idle == SPARE
        assert wires.pool.take() is connections[-1]
        wires.pool.release(connections[-1], keep=False)
        wires.pool.close()


async def test_the_connection_used_last_is_taken_first():
    async with server(answer_each) as port:
        wires = Wires(port)
        first, second = await wires.dial(), await wires.dial()
        for connection in (first, second):
            await body_of(wires, connection, await wires.ask(connection), Basin())
            wires.pool.release(connection, keep=True)
        assert wires.pool.take() is second
        wires.pool.release(second, keep=False)
        wires.pool.close()


async def test_the_pool_keeps_no_more_than_its_most():
    async with server(answer_each) as port:
        wires = Wires(port, idle_most=3)
        connections = [await wires.dial() for _ in range(4)]
        for connection in connections:
            await body_of(wires, connection, await wires.ask(connection), Basin())
            wires.pool.release(connection, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (3, 0)
        wires.pool.close()
        assert wires.pool.idle == 0


async def test_a_connection_released_halfway_through_an_answer_is_reset():
    seen: list[BaseException] = []

    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        try:
            await reader.read()
        except ConnectionError as error:
            seen.append(error)

    async with server(endless) as port:
        wires = Wires(port)
        connection = await wires.dial()
        raw = await wires.ask(connection)
        connection.expect_body(response_head(raw, b"GET").framing)
        wires.pool.release(connection, keep=True)
        await settled(lambda: seen)
        assert wires.pool.idle == 0
    assert isinstance(seen[0], ConnectionResetError)


# ---- where an answer ends


@pytest.mark.parametrize("tls", [False, True])
async def test_a_clean_end_completes_a_close_delimited_answer(tls, authority):
    context = tls_context(str(authority.ca_file)) if tls else None
    async with server(then(CLOSE_DELIMITED), authority.server_context() if tls else None) as port:
        wires = Wires(port, context)
        connection = await wires.dial()
        basin = Basin()
        await body_of(wires, connection, await wires.ask(connection), basin)
        assert (basin.body, basin.ended) == (b"whole", True)
        wires.pool.release(connection, keep=True)
        assert wires.pool.idle == 0


async def test_an_end_that_comes_before_anybody_asked_for_the_body_completes_it_too():
    async with server(then(CLOSE_DELIMITED)) as port:
        wires = Wires(port)
        connection = await wires.dial()
        raw = await wires.ask(connection)
        await wires.until(lambda: connection.lost)
        basin = Basin()
        await body_of(wires, connection, raw, basin)
        assert (basin.body, basin.ended) == (b"whole", True)


async def test_a_reset_never_completes_a_close_delimited_answer():
    async with server(then(CLOSE_DELIMITED, reset=True)) as port:
        wires = Wires(port)
        connection = await wires.dial()
        raw = await wires.ask(connection)
        if raw is not None:
            basin = Basin()
            await body_of(wires, connection, raw, basin)
            assert not basin.ended
        assert connection.lost


async def test_tls_that_ends_without_a_farewell_completes_nothing(authority):
    context = tls_context(str(authority.ca_file))
    async with server(then(CLOSE_DELIMITED, ragged=True), authority.server_context()) as port:
        wires = Wires(port, context)
        connection = await wires.dial()
        basin = Basin()
        await body_of(wires, connection, await wires.ask(connection), basin)
        assert (basin.body, basin.ended) == (b"whole", False)
        assert connection.lost
        wires.pool.release(connection, keep=False)


async def test_a_short_answer_is_not_done_when_its_connection_ends():
    async with server(then(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")) as port:
        wires = Wires(port)
        connection = await wires.dial()
        basin = Basin()
        await body_of(wires, connection, await wires.ask(connection), basin)
        assert (basin.body, basin.ended, connection.body_done) == (b"short", False, False)


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\nx: y\n\n", b"\x00\x01", b"HTTP/1.1 200 OK\r\nx: \x01", b"a" * 140_000]
)
async def test_a_head_that_cannot_be_one_fails_at_once(raw):
    async with server(then(raw)) as port:
        wires = Wires(port)
        connection = await wires.dial()
        assert await wires.ask(connection) is None
        assert connection.failure.code is Code.UPSTREAM_PROTOCOL
        wires.pool.release(connection, keep=True)
        assert wires.pool.idle == 0


# ---- dialling


async def failure_of(wires: Wires) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await wires.dial()
    assert wires.connects == [False]
    assert wires.pool.active == 0
    assert (caught.value.code, caught.value.retryable) == (Code.UPSTREAM_UNREACHABLE, "connect")
    return caught.value


async def test_a_refused_connection_is_named():
    assert "it refused the connection" in (await failure_of(Wires(free_port()))).message


async def test_a_name_that_does_not_exist_is_named():
    assert "its name could not be resolved" in (await failure_of(Wires(80, host="no.such.name.invalid"))).message


async def test_an_unknown_authority_is_named(authority, tmp_path):
    stranger = Authority(tmp_path)
    async with server(wait_for_end, stranger.server_context()) as port:
        message = (await failure_of(Wires(port, tls_context(str(authority.ca_file))))).message
    assert "its certificate is not trusted" in message


async def test_an_expired_certificate_is_named(authority):
    async with server(wait_for_end, authority.server_context(expired=True)) as port:
        message = (await failure_of(Wires(port, tls_context(str(authority.ca_file))))).message
    assert "its certificate is not trusted (certificate has expired)" in message


async def test_a_certificate_for_another_address_is_named(authority):
    async with server(wait_for_end, authority.server_context("127.0.0.9")) as port:
        message = (await failure_of(Wires(port, tls_context(str(authority.ca_file))))).message
    assert "its certificate is not trusted (IP address mismatch" in message


async def test_a_server_without_tls_is_named(authority):
    async def plain(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(plain) as port:
        message = (await failure_of(Wires(port, tls_context(str(authority.ca_file))))).message
    assert message == f"BioT cannot be reached at 127.0.0.1:{port}: it speaks no TLS."


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_name_in_the_subject_alone_is_no_name(authority, name):
    async with server(wait_for_end, authority.server_context(name, common_name_only=True)) as port:
        failure = await failure_of(Wires(port, tls_context(str(authority.ca_file)), host=name))
    assert "mismatch" in failure.message
    assert "SIDECAR_CA_FILE" not in failure.hint


async def test_an_intermediate_authority_that_is_trusted_needs_no_root(tmp_path):
    below = Authority(tmp_path, above=Authority(tmp_path))
    async with server(answer_each, below.server_context()) as port:
        wires = Wires(port, tls_context(str(below.ca_file)))
        await exchange(wires)
        wires.pool.close()


def refuse_strangers(listening: socket.socket, context: ssl.SSLContext) -> None:
    """One handshake by OpenSSL's own hand: asyncio's server says nothing when one fails."""
    accepted, _ = listening.accept()
    with accepted, contextlib.suppress(ssl.SSLError):
        context.wrap_socket(accepted, server_side=True).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_clients_certificate_is_named(authority, version):
    context = authority.server_context()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        serving = asyncio.ensure_future(asyncio.to_thread(refuse_strangers, listening, context))
        wires = Wires(port, tls_context(str(authority.ca_file)))
        try:
            connection = await wires.dial()
        except UpstreamError as error:
            failure = error
        else:
            assert await wires.ask(connection) is None
            failure = connection.failure
        await serving
    assert failure.code is Code.UPSTREAM_UNREACHABLE
    assert f"127.0.0.1:{port}" in failure.message
    assert "alert" in failure.message
    assert failure.hint == CLIENT_CERTIFICATE


async def test_a_server_that_is_silent_in_the_handshake_is_named(authority):
    context = tls_context(str(authority.ca_file))
    async with server(wait_for_end) as port:
        address = Wires(port, context).address
        with pytest.raises(UpstreamError, match="UNREACHABLE") as raised:
            await Dialer(address, context, Resolver(float), connect_timeout=0.05).connect(asyncio.Protocol())
    assert "it took the connection, but TLS was not agreed upon within 0.05s" in raised.value.message


async def test_a_server_that_hangs_up_in_the_handshake_is_named(authority):
    async def rude(reader, writer):
        await reader.read(10)

    async with server(rude) as port:
        message = (await failure_of(Wires(port, tls_context(str(authority.ca_file))))).message
    assert (
        message == f"BioT cannot be reached at 127.0.0.1:{port}: it closed the connection before TLS was agreed upon."
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "x"), "no file descriptors are left for it here"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "no local port is left for it"),
        (OSError("Multiple exceptions: [Errno 24] Too many open files, [Errno 111] x"), "no file descriptors"),
        (OSError(errno.ENOMEM, "x"), "no memory left"),
        (PermissionError(errno.EPERM, "x"), "this machine forbids it"),
    ],
)
def test_a_cause_on_this_side_sends_nobody_to_look_at_biot(error, words):
    failure = unreachable(error, "api.example:443", 5.0)
    assert words in failure.message
    assert "BIOT_BASE_URL" not in failure.hint


# ---- TLS at rest


def half_a_record(writer) -> None:
    """The first bytes of a record, behind what was written: an answer to come, or worse."""
    with socket.socket(fileno=socket.dup(writer.get_extra_info("socket").fileno())) as raw:
        raw.send(b"\x17\x03\x03\x00\x40poison")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_half_a_record_on_a_resting_connection_makes_it_unusable(authority, version):
    speak = asyncio.Event()

    async def talkative(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await speak.wait()
        half_a_record(writer)
        await reader.read()

    context = authority.server_context()
    context.minimum_version = context.maximum_version = version
    async with server(talkative, context) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        connection = await wires.dial()
        await body_of(wires, connection, await wires.ask(connection), Basin())
        wires.pool.release(connection, keep=True)
        speak.set()
        await settled(lambda: not connection.sound)
        assert wires.pool.take() is None


async def test_a_connection_that_rests_before_its_first_request_has_ended_its_handshake(authority):
    accepted = asyncio.Event()

    async def quiet(reader, writer):
        accepted.set()
        await reader.read()

    async with server(quiet, authority.server_context()) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        wires.pool.release(await wires.dial(), keep=True)
        async with asyncio.timeout(DEADLINE):
            await accepted.wait()
        assert wires.pool.take() is not None
        wires.pool.close()


async def test_session_tickets_make_no_connection_unusable(authority):
    async with server(answer_each, authority.server_context()) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        for _ in range(5):
            await exchange(wires)
        assert wires.connects == [True]
        wires.pool.close()


# ---- what a loss means


@pytest.mark.parametrize("tls", [False, True])
async def test_a_request_whose_first_send_fails_was_not_sent(tls, authority):
    reset = asyncio.Event()

    async def unlink(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reset.wait()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    context = tls_context(str(authority.ca_file)) if tls else None
    async with server(unlink, authority.server_context() if tls else None) as port:
        wires = Wires(port, context)
        connection = await wires.dial()
        await body_of(wires, connection, await wires.ask(connection), Basin())
        connection.transport.pause_reading()  # the loop does not hear of the reset before the request is written
        reset.set()
        await settled(connection.has_input)
        assert await wires.ask(connection) is None
        assert (connection.lost, connection.nothing_sent) == (True, True)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_request_that_left_before_the_loss_was_sent(tls, authority):
    context = tls_context(str(authority.ca_file)) if tls else None
    async with server(then(b"", reset=True), authority.server_context() if tls else None) as port:
        wires = Wires(port, context)
        connection = await wires.dial()
        assert await wires.ask(connection) is None
        assert (connection.lost, connection.nothing_sent) == (True, False)


# ---- whole requests of our own


async def fetch(port: int, limit: int = 1000, timeout: float = DEADLINE, repeatable: bool = False):
    wires = Wires(port)
    deadlines = DeadlineTimer(asyncio.get_running_loop(), lambda: 0.0)
    fetcher = Fetcher(wires.pool, wires.address, deadlines, b"agent/1")
    try:
        return await fetcher(
            b"POST", b"/login", [(b"X-Own", b"1")], b"{}", timeout=timeout, limit=limit, repeatable=repeatable
        )
    finally:
        wires.pool.close()
        deadlines.close()
        assert wires.pool.active == 0
        assert not deadlines._watched


@pytest.mark.parametrize(("reuses", "connections"), [(True, 2), (False, 3)])
async def test_who_reuses_connections_asks_again_over_the_last_one_until_that_has_ended(reuses, connections):
    dialled = []

    async def events(reader, writer):
        for _ in range(2):
            await reader.readuntil(b"{}")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
        writer.close()

    async with server(events) as port:
        wires = Wires(port)
        deadlines = DeadlineTimer(asyncio.get_running_loop(), lambda: 0.0)
        fetcher = Fetcher(wires.pool, wires.address, deadlines, b"agent/1", dialled.append, reuses=reuses)
        for _ in range(3):
            answer = await fetcher(b"GET", b"/next", [], b"{}", timeout=DEADLINE, limit=1000)
            assert answer.body == b"ab"
        assert len(dialled) == connections
        wires.pool.close()
        deadlines.close()
        assert wires.pool.active == 0


async def test_a_fetch_sends_one_request_and_reads_the_whole_answer():
    seen = []

    async def login(reader, writer):
        seen.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")

    async with server(login) as port:
        answer = await fetch(port)
    assert (answer.status, answer.body) == (200, b"abc")
    assert seen == [
        b"POST /login HTTP/1.1\r\nHost: x\r\nUser-Agent: agent/1\r\nAccept: application/json\r\n"
        b"X-Own: 1\r\nContent-Length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "broke off halfway"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5000, "larger than any login's"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "interim answer"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33, "interim answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk size"),
        (b"junk\r\n\r\n", "status line"),
    ],
)
async def test_a_fetch_that_is_answered_badly_says_so(raw, words):
    async with server(then(raw)) as port:
        with pytest.raises(UpstreamError) as caught:
            await fetch(port)
    assert caught.value.code is Code.UPSTREAM_PROTOCOL
    assert words in caught.value.message


async def test_a_fetch_reads_past_interim_answers():
    interims = b"".join(b"HTTP/1.1 %d X\r\nLink: </a>\r\n\r\n" % status for status in (100, 102, 103))
    async with server(then(interims + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as port:
        assert (await fetch(port)).body == b"ok"


@pytest.mark.parametrize("losses", [0, 1, 2])
@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_fetch_that_may_be_repeated_goes_over_a_second_connection_if_the_first_is_lost(losses, repeatable):
    asked = []

    async def login(reader, writer):
        asked.append(await reader.readuntil(b"{}"))
        if len(asked) > losses:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            writer.transport.abort()

    async with server(login) as port:
        if losses <= repeatable:
            assert (await fetch(port, repeatable=repeatable)).body == b"ok"
        else:
            with pytest.raises(UpstreamError) as caught:
                await fetch(port, repeatable=repeatable)
            assert caught.value.retryable == "reset"
    assert len(asked) == min(losses, repeatable) + 1
    assert len(set(asked)) == 1


@pytest.mark.interpreted("puts a method of its own into an object of a compiled class")
async def test_a_fetch_that_cannot_connect_tries_once_more():
    async with server(then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as port:
        wires = Wires(port)
        deadlines = DeadlineTimer(asyncio.get_running_loop(), lambda: 0.0)
        dial, failures = wires.pool.dial, [errors.lost_before_sending()]

        async def dial_once_in_vain(wakeup):
            if failures:
                raise failures.pop()
            return await dial(wakeup)

        wires.pool.dial = dial_once_in_vain
        fetcher = Fetcher(wires.pool, wires.address, deadlines, b"agent/1")
        assert (await fetcher(b"POST", b"/login", [], b"{}", timeout=DEADLINE, limit=10)).body == b"ok"
        wires.pool.close()
        deadlines.close()


async def test_a_fetch_that_is_not_answered_says_so():
    async with server(then(b"")) as port:
        with pytest.raises(UpstreamError) as caught:
            await fetch(port)
    assert caught.value.code is Code.UPSTREAM_UNREACHABLE


async def test_a_fetch_gives_up_in_time():
    async with server(wait_for_end) as port:
        with pytest.raises(UpstreamError) as caught:
            await fetch(port, timeout=0.05)
    assert caught.value.code is Code.UPSTREAM_TIMEOUT


@pytest.mark.interpreted("puts a method of its own into an object of a compiled class")
async def test_a_fetch_whose_time_is_up_while_it_connects_again_tells_why_it_could_not_at_first():
    wires = Wires(9)
    deadlines = DeadlineTimer(asyncio.get_running_loop(), lambda: 0.0)
    failures = [errors.lost_before_sending()]

    async def dial(wakeup):
        if failures:
            raise failures.pop()
        await asyncio.Event().wait()

    wires.pool.dial = dial
    fetcher = Fetcher(wires.pool, wires.address, deadlines, b"agent/1")
    with pytest.raises(UpstreamError) as raised:
        await fetcher(b"POST", b"/login", [], b"{}", timeout=0.3, limit=10)
    deadlines.close()
    assert raised.value.code is Code.UPSTREAM_UNREACHABLE
