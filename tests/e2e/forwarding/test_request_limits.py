"""What a plugin asks for one call: `Sidecar-Timeout`, `Sidecar-Retry`. BioT sees neither."""

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import request, response

pytestmark = LIVE


async def test_a_shorter_time_ends_the_call_and_a_longer_one_does_not_lengthen_it(house):
    for path, asked, told in (("/x", b"300ms", "0.3s"), ("/hasty/x", b"1h", "1s")):
        held = house.upstream.hold(path)
        client = await house.client()
        await client.send(request("POST", path, b"Sidecar-Timeout: " + asked, body=b"x"))
        exchange = await held.next()
        answer = await client.read_answer()
        assert_ours(answer, 504, "SIDECAR_UPSTREAM_TIMEOUT")
        assert told in answer.json["message"]
        held.release(exchange)


async def test_no_retry_is_made_where_none_is_wanted(house):
    house.upstream.on("/r", response(503, body=b"away"), response(200))
    client = await house.client()
    assert_passed_on(await client.ask(request("GET", "/r", b"sidecar-retry: none")), 503)
    assert len(house.upstream.seen("/r")) == 1


async def test_biot_sees_neither_and_no_spelling_of_them(house):
    spelled = [b"Sidecar-Timeout: 5s", b"SIDECAR_TIMEOUT: bad", b"sidecar.retry: bad", b"Sidecar-Retry: none"]
    house.upstream.on("/seen", response(200))
    client = await house.client()
    assert_passed_on(await client.ask(request("GET", "/seen", *spelled, b"Sidecar: stays")), 200)
    (seen,) = house.upstream.seen("/seen")
    assert [name for name, _ in seen.head.fields if name.lower().startswith(b"sidecar")] == [b"Sidecar"]


@pytest.mark.parametrize("field", [b"Sidecar-Timeout: 0", b"Sidecar-Timeout: soon", b"Sidecar-Retry: twice"])
async def test_a_bad_value_is_a_400_and_the_connection_goes_on(house, field):
    house.upstream.on("/bad", response(200))
    client = await house.client()
    assert_ours(await client.ask(request("GET", "/bad", field)), 400, "SIDECAR_BAD_REQUEST")
    assert not house.upstream.seen("/bad")
    assert_passed_on(await client.ask(request("GET", "/bad")), 200)
