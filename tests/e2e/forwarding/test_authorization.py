"""Whose token goes to BioT, and that no other gets past."""

import pytest

from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import TOKEN_CANARY
from tests.support.wire import chunked, lines, request

pytestmark = LIVE


async def arrived(house, path, *fields):
    assert_passed_on(await house.get(path, *fields), 200)
    return house.upstream.seen(path)[-1].head


def is_ours(values):
    return len(values) == 1 and values[0].startswith(b"Bearer ey") and TOKEN_CANARY.encode() in values[0]


async def test_a_request_without_a_token_gets_ours(house):
    assert is_ours((await arrived(house, "/x")).values(b"authorization"))


@pytest.mark.parametrize("name", [b"Authorization", b"authorization", b"AUTHORIZATION"])
async def test_replace_sends_ours_instead_of_the_plugins(house, name):
    assert is_ours((await arrived(house, "/x", name + b": Bearer own")).values(b"authorization"))


async def test_replace_removes_every_copy(house):
    head = await arrived(house, "/x", b"Authorization: Bearer a", b"authorization: Basic b", b"AUTHORIZATION:")
    assert is_ours(head.values(b"authorization"))


async def test_keep_sends_the_plugins_own(house):
    assert (await arrived(house, "/keep/x", b"Authorization: Bearer own")).values(b"authorization") == [b"Bearer own"]


async def test_keep_sends_ours_when_the_plugin_sent_none(house):
    assert is_ours((await arrived(house, "/keep/x")).values(b"authorization"))


@pytest.mark.parametrize("fields", [(), (b"Authorization: Bearer own",), (b"authorization: a", b"AUTHORIZATION: b")])
async def test_none_sends_no_token(house, fields):
    assert (await arrived(house, "/none/x", *fields)).values(b"authorization") == []


@pytest.mark.parametrize("path", ["/x", "/keep/x", "/none/x"])
async def test_a_token_does_not_slip_through_as_a_trailer(house, path):
    raw = lines(b"POST %s HTTP/1.1" % path.encode(), b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    answer = await house.ask(raw + chunked(b"x", trailers=b"Authorization: Bearer own\r\n"))
    await house.fence()
    assert answer.status in (200, 400), answer
    for exchange in house.upstream.seen(path):
        assert not [name for name, _ in exchange.trailers if name.lower() == b"authorization"]


async def test_a_thousand_calls_share_one_login(house):
    client = await house.client()
    before = len(house.upstream.logins)
    await client.send(request("GET", "/x") * 1000)
    for _ in range(1000):
        assert (await client.read_answer()).status == 200
    assert len(house.upstream.logins) == before
