"""`allow-interception`: BioT reads its mere existence, so the rule's word must be the only one."""

import pytest

from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import chunked, lines

pytestmark = LIVE

SPELLINGS = [
    b"allow-interception",
    b"Allow-Interception",
    b"ALLOW-INTERCEPTION",
    b"aLLOW-iNTERCEPTION",
    b"allow_interception",
    b"Allow_Interception",
    b"ALLOW.INTERCEPTION",
    b"allow~interception",
    b"allow!interception",
    b"allow|interception",
]


def mentions(head):
    """Every field that some server might read as the interception header."""
    return [(n, v) for n, v in head.fields if b"interception" in n.lower()]


async def arrived(house, path, *fields):
    assert_passed_on(await house.get(path, *fields), 200)
    return house.upstream.seen(path)[-1].head


@pytest.mark.parametrize("name", SPELLINGS, ids=bytes.decode)
async def test_off_removes_the_header_in_every_spelling(house, name):
    assert mentions(await arrived(house, "/off", name + b": 1")) == []


async def test_off_removes_every_copy(house):
    copies = [name + b": %d" % number for number, name in enumerate(SPELLINGS * 3)]
    assert mentions(await arrived(house, "/off", *copies)) == []


@pytest.mark.parametrize("name", SPELLINGS, ids=bytes.decode)
async def test_on_sets_it_to_one_and_lets_no_other_spelling_through(house, name):
    head = await arrived(house, "/on/x", name + b": false")
    assert [(n.lower(), v) for n, v in mentions(head)] == [(b"allow-interception", b"1")]


async def test_on_sets_it_without_the_plugin_asking(house):
    head = await arrived(house, "/on/x")
    assert [(n.lower(), v) for n, v in mentions(head)] == [(b"allow-interception", b"1")]


@pytest.mark.parametrize("value", [b"1", b"true", b"yes please", b"\xc3\xbc"])
async def test_client_passes_the_plugins_own_value(house, value):
    head = await arrived(house, "/client/x", b"Allow-Interception: " + value)
    assert mentions(head) == [(b"Allow-Interception", value)]


@pytest.mark.parametrize("value", [b"false", b"0", b"no", b"off", b"FALSE"])
async def test_client_passes_a_false_looking_value_too(house, value):
    head = await arrived(house, "/client/x", b"allow-interception: " + value)
    assert mentions(head) == [(b"allow-interception", value)]


async def test_a_false_looking_value_is_warned_about_once(start):
    house = await start()
    for value in (b"false", b"off", b"1", b"false"):
        await arrived(house, "/client/x", b"allow-interception: " + value)
    await house.sidecar.stop()
    assert house.sidecar.log().count("a value that looks like no, but BioT runs interceptors") == 1


@pytest.mark.parametrize("value", [b"", b"   ", b"null"])
async def test_client_removes_null_and_nothing(house, value):
    assert mentions(await arrived(house, "/client/x", b"allow-interception: " + value)) == []


async def test_client_adds_nothing(house):
    assert mentions(await arrived(house, "/client/x")) == []


@pytest.mark.parametrize("name", [name for name in SPELLINGS if b"-" not in name], ids=bytes.decode)
async def test_client_lets_no_alias_through(house, name):
    assert mentions(await arrived(house, "/client/x", name + b": 1")) == []


@pytest.mark.parametrize("path", ["/off", "/client/x", "/on/x"])
async def test_the_header_does_not_slip_through_as_a_trailer(house, path):
    raw = lines(b"POST %s HTTP/1.1" % path.encode(), b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    answer = await house.ask(raw + chunked(b"x", trailers=b"allow-interception: 1\r\nAllow_Interception: 1\r\n"))
    await house.fence()
    assert answer.status in (200, 400), answer
    for exchange in house.upstream.seen(path):
        assert not [name for name, _ in exchange.trailers if b"interception" in name.lower()]


async def test_similar_names_are_left_alone(house):
    head = await arrived(house, "/off", b"x-allow-interception: 1", b"allow-interceptions: 2", b"allowinterception: 3")
    assert [value for _, value in mentions(head)] == [b"1", b"2", b"3"]
