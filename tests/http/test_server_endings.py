"""How a conversation ends: lingering, clients that have finished speaking, and those that read nothing any more."""

from __future__ import annotations

import pytest

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
AMBIGUOUS = b"GET /a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def listening(sidecar):
    """A sidecar whose plugins still listen when they have finished speaking."""
    sidecar.listener.is_half_closed = lambda transport: True
    sidecar.listener.is_disconnected = lambda transport: False
    return sidecar


# ---- lingering


async def test_what_still_comes_after_the_last_answer_is_read_while_it_comes(sidecar):
    plugin = await sidecar.ask(AMBIGUOUS)
    for _ in range(5):
        await sidecar.advance(1.9)
        await plugin.say(b"more of what was refused")
    assert plugin.transport.ended
    assert not plugin.transport.closed
    await sidecar.advance(2.1)
    await sidecar.advance(2.1)
    assert plugin.transport.closed


async def test_what_comes_without_end_after_the_last_answer_is_cut_off(sidecar):
    plugin = await sidecar.ask(AMBIGUOUS)
    for _ in range(20):
        await sidecar.advance(2.1)
        await plugin.say(b"more of what was refused")
    assert plugin.transport.closed


async def test_a_sidecar_that_stops_does_not_linger_with_those_who_go_on(sidecar):
    plugin = await sidecar.ask(AMBIGUOUS)
    sidecar.handler.drain()
    sidecar.handler.drain_idle = True
    await plugin.say(b"more")
    await sidecar.advance(2.1)
    assert plugin.transport.closed


# ---- readers


async def test_a_slow_reader_gets_the_time_it_needs_for_the_last_answer(sidecar):
    plugin = await sidecar.ask(AMBIGUOUS)
    for left in range(100_000, 0, -5_000):
        plugin.transport.backlog = left
        await sidecar.advance(50.0)
    assert not plugin.transport.closed
    plugin.transport.backlog = 0
    for _ in range(3):
        await sidecar.advance(2.1)
    assert plugin.transport.closed
    assert not plugin.transport.aborted


async def test_a_client_that_never_reads_its_last_answer_is_cut_off(sidecar):
    plugin = await sidecar.ask(AMBIGUOUS)
    plugin.transport.backlog = 100_000
    for _ in range(31):
        await sidecar.advance(2.1)
    assert plugin.transport.aborted


async def test_the_next_request_waits_until_the_last_answer_was_read(sidecar):
    plugin = await sidecar.ask(GET)
    plugin.connection.pause_writing()
    await plugin.say(GET)
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.upstream.out.count(b"GET ") == 1
    plugin.connection.resume_writing()
    await sidecar.settle()
    assert sidecar.upstream.out.count(b"GET ") == 2
    await sidecar.answer(OK)
    assert plugin.got == OK * 2


async def test_a_client_that_pipelines_and_never_reads_is_cut_off(sidecar):
    plugin = await sidecar.ask(GET + GET)
    plugin.connection.pause_writing()
    plugin.transport.backlog = 100_000
    await sidecar.answer(OK)
    plugin.transport.backlog = 90_000
    await sidecar.advance(61.0)
    assert not plugin.transport.aborted
    for _ in range(40):
        await sidecar.advance(61.0)
    assert plugin.transport.aborted
    assert sidecar.upstream.out.count(b"GET ") == 1


# ---- clients that have finished speaking


async def test_a_client_that_has_finished_speaking_gets_its_answer_and_then_the_end(listening):
    plugin = await listening.ask(GET)
    plugin.transport.end()
    await listening.settle()
    await listening.answer(OK)
    assert plugin.got == OK
    assert plugin.transport.closed
    assert not listening.exchange.client_gone


async def test_all_that_was_pipelined_before_the_end_is_answered(listening):
    plugin = await listening.ask(GET * 3)
    plugin.transport.end()
    for _ in range(3):
        await listening.answer(OK)
    assert plugin.got == OK * 3
    assert plugin.transport.closed


@pytest.mark.parametrize("half", [GET[:-2], GET[:5], UPLOAD + b"half", UPLOAD, GET + GET[:9]])
async def test_half_a_request_before_the_end_is_a_400(listening, half):
    plugin = await listening.ask(half)
    plugin.transport.end()
    await listening.settle()
    if half.startswith(GET):
        await listening.answer(OK)
    assert b"HTTP/1.1 400 Bad Request\r\n" in plugin.got
    assert b"it broke off before its end" in plugin.got
    assert plugin.transport.closed
    if half.startswith(UPLOAD):
        assert listening.upstream.aborted


async def test_an_upload_that_ended_before_its_request_was_looked_at_is_judged_all_the_same(listening):
    plugin = listening.plugin()
    plugin.transport.say(UPLOAD + b"half")
    plugin.transport.end()
    await listening.settle()
    assert b"HTTP/1.1 400 Bad Request\r\n" in plugin.got


async def test_a_refusal_reaches_a_client_that_has_finished_speaking(listening):
    plugin = listening.plugin()
    plugin.transport.say(b"GET /a HTTP/1.1\nHost: localhost\n\n")
    plugin.transport.end()
    await listening.settle()
    assert plugin.got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert plugin.transport.closed


async def test_a_client_that_says_nothing_and_ends_is_told_nothing(listening):
    plugin = listening.plugin()
    plugin.transport.end()
    await listening.settle()
    assert (plugin.got, plugin.transport.closed) == (b"", True)


async def test_a_resting_client_that_ends_is_gone_at_once(listening):
    plugin = await listening.ask(GET)
    await listening.answer(OK)
    plugin.transport.end()
    await listening.settle()
    assert plugin.transport.closed


async def test_a_client_that_leaves_after_it_had_finished_speaking_ends_its_exchange(listening):
    plugin = await listening.ask(GET)
    plugin.transport.end()
    await listening.settle()
    plugin.connection._look()
    assert not listening.upstream.aborted
    listening.listener.is_disconnected = lambda transport: True
    plugin.connection._look()
    await listening.settle()
    assert listening.upstream.aborted
    assert plugin.transport.aborted
    assert listening.exchange.client_gone


async def test_a_client_that_leaves_while_its_upload_is_held_back_ends_its_exchange(listening):
    plugin = await listening.ask(UPLOAD)
    listening.upstream._protocol.pause_writing()
    listening.listener.is_disconnected = lambda transport: True
    plugin.connection._look()
    await listening.settle()
    assert listening.upstream.aborted
    assert listening.exchange.client_gone
