"""TLS towards the upstream: always verified, and a cut stream is a cut answer."""

import asyncio
import signal
import ssl

import pytest

from tests.support.authority import Authority
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream, echo, then_close
from tests.support.wire import DEADLINE, Cut, lines, request, response

pytestmark = LIVE


@pytest.fixture
def trusted(authority):
    """Settings that trust the run's own authority."""
    return {"SIDECAR_CA_FILE": str(authority.ca_file)}


async def test_requests_go_through_tls_both_ways(start, authority, trusted):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), **trusted)
    house.upstream.on("/e", echo)
    body = bytes(range(256)) * 4000
    assert_passed_on(await house.ask(request("POST", "/e", body=body)), 200, body)
    assert house.upstream.requests[0].head.values(b"host") == [house.upstream.authority]


async def test_connections_over_tls_are_reused(start, authority, trusted):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), **trusted)
    await house.warm_up()
    for _ in range(10):
        await house.get("/r")
    assert len({exchange.connection_number for exchange in house.upstream.seen("/r")}) == 1


WRONG = {
    "nobody vouches for it": lambda authority: (authority.server_context(), {}),
    "it is for another address": lambda authority: (
        authority.server_context("127.0.0.2"),
        {"SIDECAR_CA_FILE": str(authority.ca_file)},
    ),
    "it has expired": lambda authority: (
        authority.server_context(expired=True),
        {"SIDECAR_CA_FILE": str(authority.ca_file)},
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_nothing_is_said_to_a_server_whose_certificate_is_wrong(start, authority, wrong):
    context, settings = wrong(authority)
    house = await start(upstream=ScriptedUpstream(tls=context), **settings)
    answer = await house.ask(request("POST", "/none/x", body=b"x"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_UNREACHABLE")
    assert not house.upstream.heard(b"HTTP/1.1")


async def test_tls_1_1_is_not_spoken(start, authority, trusted):
    context = authority.server_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    house = await start(upstream=ScriptedUpstream(tls=context), **trusted)
    assert_ours(await house.ask(request("POST", "/none/x")), 502, "SIDECAR_UPSTREAM_UNREACHABLE")


async def test_a_server_that_speaks_no_tls_is_a_502(start, trusted):
    class Pretender(ScriptedUpstream):
        url = property(lambda self: f"https://127.0.0.1:{self.port}")

    once = "version: 1\nroutes: [{name: no token, match: '* /none/**', authorization: none, retry: none}]\n"
    house = await start(upstream=Pretender(), routes=once, **trusted)
    assert_ours(
        await house.ask(request("POST", "/none/x")), 502, "SIDECAR_UPSTREAM_UNREACHABLE", "SIDECAR_UPSTREAM_PROTOCOL"
    )
    house.upstream.failures.clear()


async def test_a_key_log_in_the_environment_gets_no_keys(start, authority, trusted, tmp_path):
    keys = tmp_path / "keys"
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), SSLKEYLOGFILE=str(keys), **trusted)
    await house.warm_up()
    assert not keys.exists() or keys.read_text() == ""


@pytest.mark.parametrize("framing", [b"Connection: close", b"Transfer-Encoding: chunked", b"Content-Length: 100"])
async def test_a_stream_cut_without_a_farewell_looks_cut(start, authority, trusted, framing):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), **trusted)
    held = house.upstream.hold("/once/c")
    client = await house.client()
    await client.send(request("POST", "/once/c"))
    exchange = await held.next()
    await exchange.send(lines(b"HTTP/1.1 200 OK", framing) + b"5\r\nhalf \r\n")
    await client.read_head_or_fail()
    exchange.connection.cut_off()
    held.release(exchange)
    try:
        rest = await client.read_to_end()
    except Cut:
        return
    assert framing != b"Connection: close", "a truncated stream looks complete"
    assert not rest.endswith(b"0\r\n\r\n")


async def test_the_upstreams_farewell_ends_a_close_delimited_answer(start, authority, trusted):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), **trusted)

    async def say_goodbye(exchange):
        await exchange.send(lines(b"HTTP/1.1 200 OK") + b"whole")
        exchange.connection.close()

    house.upstream.on("/c", say_goodbye)
    assert_passed_on(await house.get("/c"), 200, b"whole")


async def test_an_early_refusal_over_tls_comes_through(start, authority, trusted):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), **trusted)
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("POST", "/e", b"Content-Length: 1000000") + b"x" * 1000)
    exchange = await held.next()
    await exchange.send(response(413, body=b"too much"))
    assert_passed_on(await client.read_answer(), 413, b"too much")
    held.release(exchange)


def resumed(exchanges):
    """Whether the connections of these requests resumed a session."""
    return [one.connection.resumed for one in exchanges]


async def test_calls_and_logins_resume_the_tls_session_of_before_until_a_reload(start, authority, trusted):
    house = await start(
        upstream=ScriptedUpstream(tls=authority.server_context()), SIDECAR_LOGIN_AT_START="0", **trusted
    )
    house.upstream.on("/x", then_close(response(200)))
    for _ in range(3):
        await house.get("/x")
    assert resumed(house.upstream.seen("/x")) == [False, True, True]  # the first one goes over the login's connection
    house.upstream.on("/y", response(401, body=b'{"code": "TOKEN_NOT_VALID"}'), response(200))
    await house.get("/y")
    assert resumed(house.upstream.logins) == [False, True]
    house.sidecar.signal(signal.SIGHUP)
    await house.sidecar.until_logged("the trusted CAs were read again")
    for _ in range(2):
        await house.get("/x")
    assert resumed(house.upstream.seen("/x"))[3:] == [False, True]


async def test_cas_that_come_into_the_file_later_are_trusted_without_a_restart(start, authority, tmp_path):
    file = tmp_path / "extra.pem"
    file.write_bytes(Authority(tmp_path).ca_file.read_bytes())  # somebody else's
    house = await start(
        upstream=ScriptedUpstream(tls=authority.server_context()),
        SIDECAR_EXTRA_CA_FILE=str(file),
        SIDECAR_LOGIN_AT_START="0",
    )
    assert_ours(await house.ask(request("POST", "/none/x", body=b"x")), 502, "SIDECAR_UPSTREAM_UNREACHABLE")
    file.write_bytes(authority.ca_file.read_bytes())
    house.sidecar.signal(signal.SIGHUP)
    await house.sidecar.until_logged("the trusted CAs were read again")
    assert_passed_on(await house.ask(request("POST", "/none/x", body=b"x")), 200)
    house.sidecar.signal(signal.SIGHUP)
    async with asyncio.timeout(DEADLINE):
        while b'closed_total{reason="reload"} 1.0' not in (await house.get("/metrics")).body:
            await asyncio.sleep(0.01)
