"""The same promises over a unix socket, which knows no reset."""

import pytest
import pytest_asyncio

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import then_close
from tests.support.wire import Cut, lines, request, response

pytestmark = LIVE

UNTIL_CLOSE = lines(b"HTTP/1.1 200 OK", b"Content-Type: text/csv")


@pytest_asyncio.fixture(loop_scope="module")
async def served(start, tmp_path):
    """A program that listens at a unix socket too, and a way to it."""
    path = str(tmp_path / "s")
    house = await start(SIDECAR_LISTEN=f"unix:{path},127.0.0.1:0")

    async def client():
        house.clients.append(await RawClient.open_unix(path))
        return house.clients[-1]

    return house, client


async def test_requests_and_refusals_go_as_over_tcp(served):
    _, client = served
    asking = await client()
    assert_passed_on(await asking.ask(request("POST", "/u", body=b"x" * 200_000)), 200)
    assert_ours(await asking.ask(request("GET", "/closed/x")), 403, "SIDECAR_ROUTE_DENIED")
    assert_ours(await asking.ask(lines(b"GET /u HTTP/1.1", b"Host: evil.example")), 421, "SIDECAR_HOST_REFUSED")


@pytest.mark.parametrize("host", [b"", b"/run/sidecar.sock", b"%2Frun%2Fsidecar.sock", b"localhost"])
async def test_host_may_name_the_socket_or_nothing(served, host):
    house, client = served
    raw = lines(b"GET /u HTTP/1.1", b"Host: " + host)
    assert_passed_on(await (await client()).ask(raw), 200)
    assert house.upstream.seen("/u")[0].head.values(b"host") == [house.upstream.authority]
    if host != b"localhost":
        assert_ours(await house.ask(raw), 421, "SIDECAR_HOST_REFUSED")


async def test_a_close_delimited_answer_comes_through_whole_and_the_connection_goes_on(served):
    house, client = served
    house.upstream.on("/u", then_close(UNTIL_CLOSE + b"a,b"), response(200))
    asking = await client()
    answer = await asking.ask(request("GET", "/u"))
    assert_passed_on(answer, 200, b"a,b")
    assert answer.fields == [(b"Content-Type", b"text/csv"), (b"Transfer-Encoding", b"chunked")]
    assert_passed_on(await asking.ask(request("GET", "/u")), 200)


async def test_a_close_delimited_answer_that_breaks_off_looks_cut(served):
    house, client = served
    held = house.upstream.hold("/u")
    asking = await client()
    await asking.send(request("GET", "/u"))
    exchange = await held.next()
    await exchange.send(UNTIL_CLOSE + b"half")
    await asking.read_head_or_fail()
    assert await asking.read_exactly(9) == b"4\r\nhalf\r\n"
    exchange.connection.reset()
    held.release(exchange)
    with pytest.raises(Cut):
        await asking.read_chunked()


@pytest.mark.not_on("macos", why="nobody tells a client that half-closed from one that has gone")
async def test_a_client_that_has_finished_speaking_gets_its_answer(served):
    _, client = served
    asking = await client()
    asking.writer.write(request("GET", "/u"))
    asking.shut_writing()
    assert_passed_on(await asking.read_answer(), 200)
    assert await asking.ended()


async def test_a_client_that_leaves_ends_its_exchange_at_once(served):
    house, client = served
    held = house.upstream.hold("/u")
    asking = await client()
    await asking.send(request("GET", "/u"))
    exchange = await held.next()
    asking.close()
    assert await exchange.abandoned()
    held.release(exchange)
