"""One connection's byte side, over a transport in memory."""

from __future__ import annotations

import asyncio

import pytest
from biot_sidecar.errors import Code
from biot_sidecar.http.connection import HOLD_LIMIT
from biot_sidecar.http.messages import BodyFraming, Framing

from tests.http.wires import Basin
from tests.support.fakes import FakeSidecar, SourceBase

HEAD = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def made():
    """A client's connection that a test drives itself."""
    sidecar = FakeSidecar()
    plugin = sidecar.plugin()
    connection = plugin.connection
    connection._task.cancel()
    await sidecar.settle()
    connection.lost = False
    plugin.transport.closed = False
    yield connection, plugin.transport
    sidecar.deadlines.close()


async def test_bytes_behind_a_message_wait_for_whoever_asks(made):
    connection, transport = made
    connection.expect_head()
    transport.say(HEAD + HEAD)
    assert connection.raw_head == HEAD
    assert connection.leftover == HEAD
    connection.expect_head()
    assert (connection.raw_head, connection.leftover) == (HEAD, b"")


async def test_a_sender_is_paused_when_too_much_waits_and_resumed_when_it_is_asked_for(made):
    connection, transport = made
    connection.expect_head()
    transport.say(HEAD)
    transport.say(b"x" * (HOLD_LIMIT + 1))
    assert transport.paused
    basin = Basin()
    connection.expect_body(Framing(BodyFraming.LENGTH, HOLD_LIMIT + 1))
    connection.relay_to(basin)
    assert not transport.paused
    assert (len(basin.body), basin.ended) == (HOLD_LIMIT + 1, True)


async def relaying_chunks(connection, transport):
    """A sink to which the connection relays a chunked body."""
    connection.expect_head()
    transport.say(HEAD)
    basin = Basin()
    connection.expect_body(Framing(BodyFraming.CHUNKED))
    connection.relay_to(basin)
    return basin


async def test_a_few_chunks_go_on_as_they_came(made):
    basin = await relaying_chunks(*made)
    made[1].say(b"1\r\nx\r\n" * 16)
    assert (basin.body, basin.writes) == (b"x" * 16, 16)


async def test_many_small_chunks_that_come_at_once_go_on_as_one(made):
    basin = await relaying_chunks(*made)
    made[1].say(b"1\r\nx\r\n" * 17)
    assert (basin.body, basin.writes) == (b"x" * 17, 1)


async def test_a_flood_of_chunks_lets_others_have_their_turn(made):
    connection, transport = made
    basin = await relaying_chunks(connection, transport)
    transport.say(b"1\r\nx\r\n" * 3000)
    assert transport.paused
    await asyncio.sleep(0)
    assert not transport.paused
    transport.say(b"1\r\nx\r\n" * 3000)
    basin.write_paused = True
    await asyncio.sleep(0)
    assert transport.paused
    assert len(basin.body) == 6000


async def test_a_body_that_drips_is_kept_in_few_pieces(made):
    connection, transport = made
    basin = await relaying_chunks(connection, transport)
    for _ in range(2000):
        transport.say(b"2\r\nxy\r\n")
    assert b"".join(connection.replay_buffer) == basin.body == b"xy" * 2000
    assert len(connection.replay_buffer) <= 256


async def test_a_body_that_is_here_is_taken_whole_and_what_follows_stays(made):
    connection, transport = made
    connection.expect_head()
    transport.say(HEAD + b"body" + HEAD)
    connection.expect_body(Framing(BodyFraming.LENGTH, 4))
    assert connection.take_whole() == b"body"
    assert connection.take_whole() is None
    assert (connection.body_done, connection.body_bytes, connection.leftover) == (True, 4, HEAD)


async def test_what_is_corked_leaves_in_one_piece_and_what_was_lost_leaves_not_at_all(made):
    connection, transport = made
    connection.cork()
    connection.write(b"a")
    connection.frame_output(BodyFraming.CHUNKED)
    connection.write_body([b"b"])
    connection.end_body([(b"x", b"y"), (b"Authorization", b"z")])
    assert transport.out == b""
    connection.uncork()
    assert transport.out == b"a1\r\nb\r\n0\r\nx: y\r\n\r\n"
    connection.lost = True
    connection.write(b"late")
    assert transport.out.endswith(b"y\r\n\r\n")
    assert connection.unsent == 0


async def test_discarded_bytes_are_forgotten(made):
    connection, transport = made
    connection.expect_head()
    transport.say(HEAD + b"some")
    connection.discard()
    transport.say(b"more")
    assert connection.leftover == b""


async def test_nothing_leaves_a_cork_that_held_nothing_and_nothing_a_connection_that_is_lost(made):
    connection, transport = made
    connection.cork()
    connection.uncork()
    connection.lost = True
    connection.write_body([b"a", b"b"])
    connection.finish_writing()
    connection.pause_reading()
    assert (transport.out, transport.ended, transport.paused) == (b"", False, False)


async def test_who_starts_to_write_to_a_connection_that_is_full_is_paused_at_once(made):
    class Source(SourceBase):
        paused = False

        def pause_reading(self):
            self.paused = True

    connection, _ = made
    source = Source()
    connection.pause_writing()
    connection.attach(source)
    assert source.paused


async def test_the_body_of_a_client_that_will_say_no_more_is_broken_off_when_it_is_asked_for(made):
    connection, transport = made
    connection.expect_head()
    transport.say(HEAD + b"hal")
    connection.expect_body(Framing(BodyFraming.LENGTH, 4))
    connection.half_closed = True
    connection.relay_to(Basin())
    assert connection.failure.code is Code.BAD_REQUEST
