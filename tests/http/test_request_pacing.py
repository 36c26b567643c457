"""Of many requests that arrive at once some begin in each turn of the loop, in the order of arrival."""

from __future__ import annotations

import asyncio

from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.listener import Listener
from biot_sidecar.http.request_pacing import PER_TURN, RequestPacer
from biot_sidecar.http.sockets import bind_all
from biot_sidecar.settings import ListenAddress

from tests.http.wires import settled


async def test_as_many_begin_in_a_turn_as_may_and_the_others_in_the_next_ones():
    pacer = RequestPacer(asyncio.get_running_loop())
    wakeups = [Wakeup() for _ in range(2 * PER_TURN + 5)]
    waiting = [wakeup.next() for wakeup in wakeups]
    for wakeup in wakeups:
        pacer.wake(wakeup)
    begun = []
    for _ in range(3):
        begun.append([one.done() for one in waiting])
        await asyncio.sleep(0)
    counts = [sum(turn) for turn in begun]
    assert counts == [PER_TURN, 2 * PER_TURN, 2 * PER_TURN + 5]
    assert all(turn == sorted(turn, reverse=True) for turn in begun)


async def test_one_that_comes_later_stands_behind_those_who_wait_and_a_new_turn_begins_anew():
    pacer = RequestPacer(asyncio.get_running_loop())
    first, last = [Wakeup() for _ in range(PER_TURN + 1)], Wakeup()
    waiting = [one.next() for one in [*first, last]]
    for wakeup in first:
        pacer.wake(wakeup)
    pacer.wake(last)
    assert [one.done() for one in waiting[-2:]] == [False, False]
    await asyncio.sleep(0)
    assert [one.done() for one in waiting[-2:]] == [True, True]
    for _ in range(3):
        await asyncio.sleep(0)
    again = last.next()
    pacer.wake(last)
    assert again.done()


async def test_a_listener_with_many_connections_answers_all_that_ask_at_once():
    served = []

    async def serve(connection):
        connection.expect_head()
        while connection.raw_head is None:
            await connection.wakeup.next()
        served.append(connection.raw_head)

    listener = Listener(serve, served.append)
    ((sock,),) = bind_all(ListenAddress("127.0.0.1", 0))
    await listener.listen(sock)
    writers = [(await asyncio.open_connection(*sock.getsockname()))[1] for _ in range(3 * PER_TURN)]
    await settled(lambda: listener.open == len(writers))
    for writer in writers:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await settled(lambda: len(served) == len(writers))
    for writer in writers:
        writer.close()
    await listener.stop_accepting()
    listener.abort_all()
