"""Byte for byte what reaches BioT of a seed plugin's calls, and what never does."""

from __future__ import annotations

import asyncio
import json

import pytest
from biot_sidecar.simulator import seed

from tests.e2e.seeds.plugins import DUMMY, TRACE, event, plugin
from tests.support.wire import response

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PATIENTS = "/organization/v1/users/patients"
PATIENT = f"{PATIENTS}/{seed.PATIENT_ID}".encode()
ANSWER = response(200, b"Content-Type: application/json", body=json.dumps({"age": 1}).encode())
SEARCHES = {
    # requests: a plus for a space, and the slash escaped; URLSearchParams: the same, compact, with UTF-8.
    "python": b"%7B%22filter%22%3A+%7B%22_name.firstName%22%3A+%7B%22like%22%3A+%22a%2Bb+%26+c%2Fd%22%7D%7D"
    b"%2C+%22limit%22%3A+2%7D",
    "javascript": b"%7B%22filter%22%3A%7B%22_name.firstName%22%3A%7B%22like%22%3A%22a%2Bb+%26+c%2Fd+%27%C3%BC%27%22"
    b"%7D%7D%2C%22page%22%3A0%2C%22limit%22%3A30%7D",
}
FIELDS = {
    "python": [
        (b"User-Agent", b"PythonPlugin/1.5.6"),
        (b"Accept", b"application/json"),
        (b"Content-Type", b"application/json; charset=utf-8"),
    ],
    "javascript": [
        (b"Accept", b"application/json, text/plain, */*"),
        (b"User-Agent", b"axios/1.15.1"),
        (b"Accept-Encoding", b"gzip, compress, deflate, br"),
    ],
}


async def handled(house, language):
    """What BioT got when a seed with made-up credentials handled one event: a read, a search, a change."""
    await house.warm_up()
    house.upstream.on(PATIENTS, ANSWER)
    house.upstream.requests.clear()
    with plugin(
        language, f"http://127.0.0.1:{house.sidecar.port}", BIOT_SHOULD_VALIDATE_JWT="false", **DUMMY
    ) as running:
        answer = await asyncio.to_thread(running.handle, event())
    assert answer["statusCode"] == 200, answer
    return list(house.upstream.requests)


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_a_seeds_calls_reach_biot_as_they_were_sent_but_for_host_and_token(house, language):
    read, search, change = await handled(house, language)
    assert (read.method, read.target) == (b"GET", PATIENT)
    assert search.target == PATIENTS.encode() + b"?searchRequest=" + SEARCHES[language]
    assert (change.method, change.target) == (b"PATCH", PATIENT)
    assert json.loads(change.content) == {"age": 2}
    for exchange in (read, search, change):
        assert exchange.head.values(b"host") == [house.upstream.authority]
        assert exchange.head.first(b"traceparent") == f"00-{TRACE}-00f067aa0ba902b7-01".encode()
        assert [field for field in exchange.head.fields if field in FIELDS[language]] == FIELDS[language]
        assert not exchange.head.names & {b"via", b"forwarded", b"x-forwarded-for", b"allow-interception"}


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_one_token_goes_out_and_it_is_the_sidecars(house, language):
    for exchange in await handled(house, language):
        (authorization,) = exchange.head.values(b"authorization")
        assert authorization == house.upstream.requests[0].authorization
        assert b"placeholder" not in authorization
    for text in (*DUMMY.values(), "placeholder", "lambda.aws.com"):
        assert not house.upstream.heard(text.encode())


async def test_the_python_seeds_body_with_a_get_is_two_bytes_at_biot_too(house):
    read, _, _ = await handled(house, "python")
    assert read.head.values(b"content-length") == [b"2"]
    assert read.content == b"{}"
