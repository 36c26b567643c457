"""TLS in memory, with everything around it in memory: the server, the transport below and the connection above."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import pytest
from biot_sidecar.http.connect_errors import ClosedInHandshake, NoTls
from biot_sidecar.http.tls import tls_context
from biot_sidecar.http.tls_transport import TlsTransport

from tests.support.authority import Authority
from tests.support.fakes import FakeTransport


class Above(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard = b""
        self.told: list[str] = []
        self.error: Exception | None = None

    def connection_made(self, transport):
        self.told.append("made")

    def data_received(self, data):
        self.heard += data

    def eof_received(self):
        self.told.append("end")

    def connection_lost(self, error):
        self.told.append("lost")
        self.error = error

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")


class Wire:
    """A TLS transport and the server at the other end of it."""

    def __init__(self, authority: Authority, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> None:
        self.above = Above()
        self.ready = asyncio.get_running_loop().create_future()
        self.tls = TlsTransport(self.above, tls_context(str(authority.ca_file)), "127.0.0.1", self.ready)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = authority.server_context()
        context.maximum_version = newest
        self.server = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def connect(self) -> None:
        self.below = FakeTransport(self.tls)

    def shake_hands(self) -> None:
        for _ in range(3):
            self.pass_on()
            with suppress(ssl.SSLWantReadError):
                self.server.do_handshake()
        self.tls.end_handshake()
        self.pass_on()
        self.server.do_handshake()
        self.pass_on()

    def pass_on(self) -> None:
        """Let both ends have what the other one wrote."""
        self._incoming.write(self.below.out)
        self.below.out = b""
        self.below.say(self._outgoing.read())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def wire(authority):
    wire = Wire(authority)
    yield wire
    await asyncio.sleep(0)
    if wire.ready.done() and not wire.ready.cancelled():
        wire.ready.exception()  # is looked at


@pytest.fixture
async def connected(wire):
    wire.connect()
    wire.shake_hands()
    assert (wire.ready.done(), wire.above.told) == (True, ["made"])
    return wire


async def test_pieces_leave_together_and_in_their_order(connected):
    connected.tls.writelines([b"a", b"b"])
    connected.pass_on()
    assert connected.server.read() == b"ab"


async def test_the_handshakes_last_part_leaves_with_the_first_data(wire):
    wire.connect()
    wire.pass_on()
    with suppress(ssl.SSLWantReadError):
        wire.server.do_handshake()
    wire.pass_on()
    assert (wire.above.told, wire.below.out) == (["made"], b"")
    wire.tls.write(b"GET")
    wire.pass_on()
    wire.server.do_handshake()
    assert wire.server.read() == b"GET"


async def test_data_that_arrive_with_the_servers_last_part_of_the_handshake_are_read(authority):
    """Before TLS 1.3 it is the server that ends the handshake."""
    wire = Wire(authority, ssl.TLSVersion.TLSv1_2)
    wire.connect()
    for _ in range(2):
        wire.pass_on()
        with suppress(ssl.SSLWantReadError):
            wire.server.do_handshake()
    wire.pass_on()
    assert wire.above.told == []
    wire.server.do_handshake()
    wire.server.write(b"early")
    wire.pass_on()
    assert (wire.above.told, wire.above.heard) == (["made"], b"early")


@pytest.mark.parametrize("piece", [1, 4, 5, 6, 7000, 16_406, 20_000, 60_000])
async def test_records_are_read_when_they_are_whole_however_they_arrive(connected, piece):
    arriving, ends, lengths = b"", [], (16_384, 16_384, 7_232)
    for length in lengths:
        connected.server.write(bytes(length))
        arriving += connected._outgoing.read()
        ends.append(len(arriving))
    for at in range(0, len(arriving), piece):
        connected.below.say(arriving[at : at + piece])
        arrived = min(at + piece, len(arriving))
        whole = sum(length for length, end in zip(lengths, ends, strict=True) if end <= arrived)
        assert (len(connected.above.heard), connected.tls.mid_record) == (whole, arrived not in ends)


@pytest.mark.parametrize("start", [b"HTTP/1.1 400", b"\x17\x02\x03\x00\x20", b"\x17\x03\x03\xff\xff"])
async def test_what_cannot_become_a_record_ends_the_connection_before_it_is_whole(connected, start):
    connected.below.say(start)
    assert connected.below.closed


async def test_before_it_is_connected_there_is_nothing_to_end(wire):
    assert not wire.tls.connected
    wire.tls.abort()
    wire.connect()
    assert wire.tls.connected
    wire.tls.abort()
    assert wire.below.aborted


async def test_the_connection_above_hears_of_a_full_transport_once_there_is_one(wire):
    wire.connect()
    wire.tls.pause_writing()
    wire.tls.resume_writing()
    assert wire.above.told == []
    wire.shake_hands()
    wire.tls.pause_writing()
    wire.tls.resume_writing()
    assert wire.above.told == ["made", "pause", "resume"]


async def test_a_handshake_that_nobody_waits_for_any_more_ends_all_the_same(wire):
    wire.ready.cancel()
    wire.connect()
    wire.shake_hands()
    assert wire.above.told == ["made"]


@pytest.mark.parametrize("waits", [True, False])
async def test_what_is_no_tls_ends_the_handshake(wire, waits):
    if not waits:
        wire.ready.cancel()
    wire.connect()
    wire.below.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert wire.below.closed
    if waits:
        assert isinstance(wire.ready.exception(), NoTls)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_connection_that_breaks_ends_the_handshake(wire, waits):
    if not waits:
        wire.ready.cancel()
    wire.connect()
    wire.below.lose()
    assert wire.above.told == []
    if waits:
        assert isinstance(wire.ready.exception(), ClosedInHandshake)


async def test_a_record_that_was_forged_ends_the_connection_and_the_server_is_told_why(connected):
    connected.below.say(b"\x17\x03\x03\x00\x20" + b"forged, all thirty-two bytes of it")
    assert connected.below.closed
    connected._incoming.write(connected.below.out)
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        connected.server.read()
    connected.below.closed = False
    connected.below.lose()
    assert isinstance(connected.above.error, ssl.SSLError)


async def test_the_servers_farewell_ends_what_still_waits_to_be_sent(connected):
    connected.below.backlog = 5
    with suppress(ssl.SSLWantReadError):
        connected.server.unwrap()
    connected.pass_on()
    assert connected.above.told == ["made", "end"]
    assert connected.below.aborted


async def test_after_the_end_nothing_is_read_written_paused_or_resumed(connected):
    connected.tls.close()
    farewell, connected.below.out = connected.below.out, b""
    assert farewell
    assert connected.tls.is_closing()
    connected.server.write(b"late")
    connected.tls.data_received(connected._outgoing.read())
    connected.tls.write(b"late")
    connected.tls.close()
    connected.tls.pause_reading()
    assert (connected.above.heard, connected.below.out, connected.below.paused) == (b"", b"", False)
    connected.below.paused = True
    connected.tls.resume_reading()
    assert connected.below.paused


async def test_what_tls_will_not_take_ends_the_connection(wire):
    wire.connect()
    wire.below.out = b""
    wire.tls.write(b"before the handshake")
    assert (wire.below.out, wire.below.aborted) == (b"", True)
