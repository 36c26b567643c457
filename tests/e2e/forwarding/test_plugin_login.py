"""A plugin that logs in by itself gets a placeholder, and the placeholder opens nothing."""

import json
import re

import pytest

from tests.support.judge import assert_passed_on, is_ours
from tests.support.live import LIVE
from tests.support.sidecar import CANARY, SECRET
from tests.support.wire import request, response

pytestmark = LIVE

PATH = "/ums/v2/services/accessToken"
DUMMY = json.dumps({"id": "5d2bb8a4-0000-4000-8000-000000000000", "secretKey": CANARY}).encode()


def login():
    return request("POST", PATH, b"Content-Type: application/json", body=DUMMY)


async def placeholder(house):
    answer = await house.ask(login())
    assert answer.status == 200
    return answer.json["accessToken"].encode()


async def test_the_placeholder_comes_in_biots_own_shape(house):
    answer = await house.ask(login())
    assert answer.status == 200
    assert (answer.head.first(b"content-type") or b"").startswith(b"application/json")
    assert set(answer.json) == {"accessToken", "accessTokenExpiration"}
    assert answer.json["accessToken"].count(".") == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["accessTokenExpiration"])


async def test_the_placeholder_is_not_our_token_and_nobody_asks_biot(house):
    before = len(house.upstream.logins)
    token = await placeholder(house)
    await house.get("/x")
    assert token not in house.upstream.requests[-1].authorization
    assert len(house.upstream.logins) == before


@pytest.mark.parametrize("path", ["/x", "/keep/x"])
async def test_the_placeholder_counts_as_no_token(house, path):
    token = await placeholder(house)
    answer = await house.get(path, b"Authorization: Bearer " + token)
    assert answer.status == 200
    sent = house.upstream.seen(path)[0].authorization
    assert sent.startswith(b"Bearer ey")
    assert token not in sent


async def test_a_query_or_a_slash_makes_it_no_other_path(house):
    before = len(house.upstream.logins)
    for path in (PATH + "/", PATH + "?x=1"):
        answer = await house.ask(request("POST", path, body=DUMMY))
        assert answer.status == 200, answer
    assert len(house.upstream.logins) == before
    assert house.upstream.requests == []


async def test_forward_passes_it_on_without_our_token(start):
    house = await start(SIDECAR_PLUGIN_LOGIN="forward")
    await house.warm_up()
    answer = await house.ask(login())
    assert answer.status == 200
    own, passed = house.upstream.logins[0], house.upstream.logins[-1]
    assert json.loads(own.content)["secretKey"] == SECRET
    assert passed.content == DUMMY
    assert passed.head.values(b"authorization") == []


async def test_forward_passes_a_refusal_on_too(start):
    house = await start(SIDECAR_PLUGIN_LOGIN="forward")
    await house.warm_up()
    house.upstream.login_script = response(403, body=b'{"code":"LOGIN_FAILED"}')
    answer = await house.ask(login())
    assert answer.status == 403
    assert answer.body == b'{"code":"LOGIN_FAILED"}'
    assert not is_ours(answer)
    assert (await house.get("/x")).status == 200


SPELLINGS = [
    PATH + "/",
    "/" + PATH.replace("/", "//"),
    PATH.replace("T", "%54"),
    PATH.replace("T", "%2554"),
    PATH.replace("/v2/", "%2Fv2/"),
    PATH + ";x=1",
    PATH.upper(),
    PATH + "?x=1",
]


@pytest.mark.parametrize("mode", ["deny", "forward"])
async def test_no_spelling_of_the_path_gets_round_it(start, mode):
    house = await start(SIDECAR_PLUGIN_LOGIN=mode)
    await house.warm_up()
    for path in SPELLINGS:
        answer = await house.ask(request("POST", path, body=DUMMY))
        assert answer.status == (403 if mode == "deny" else 200), path
    passed = [one for one in [*house.upstream.requests, *house.upstream.logins] if one.content == DUMMY]
    assert len(passed) == (0 if mode == "deny" else len(SPELLINGS))
    assert not [one for one in passed if one.authorization]
    assert (await house.ask(request("POST", "/ums/v2/services", body=b"{}"))).status == 200
    assert house.upstream.requests[-1].authorization


async def test_in_local_another_case_is_another_path(house):
    answer = await house.ask(request("POST", PATH.upper(), body=DUMMY))
    assert answer.status == 200
    assert house.upstream.requests[-1].target == PATH.upper().encode()


async def test_other_methods_of_its_path_are_no_login(house):
    for method in ("GET", "PUT"):
        assert_passed_on(await house.ask(request(method, PATH)), 200)


async def test_deny_refuses_it(start):
    house = await start(SIDECAR_PLUGIN_LOGIN="deny")
    await house.warm_up()
    before = len(house.upstream.logins)
    answer = await house.ask(login())
    assert answer.status == 403
    assert is_ours(answer)
    assert len(house.upstream.logins) == before
