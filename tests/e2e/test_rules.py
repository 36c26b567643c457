"""The routes file of a running program: taken whole or not at all, seen by every page, right for every request."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.support.form import FORM
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.sidecar import ROOT, House
from tests.support.wire import DEADLINE, request, response

pytestmark = LIVE

VERSION = """\
version: 1
defaults: {{timeout: 60s}}
routes:
  - {{name: one {number}, match: "* /one/**", interception: {interception}, authorization: {authorization}}}
  - {{name: two {number}, match: "* /two/**", interception: {interception}, authorization: {authorization}}}
"""
CLIENTS = 4
EDITS = 12


def version(number: int) -> str:
    """Even versions send the header and no token, odd ones a token and no header; both routes alike."""
    even = number % 2 == 0
    return VERSION.format(
        number=number, interception="on" if even else "off", authorization="none" if even else "replace"
    )


def parity(head) -> int:
    """0 or 1: the version a request went out under, 2 for a mixture."""
    seen = (b"allow-interception" in head.names, b"authorization" in head.names)
    return {(True, False): 0, (False, True): 1}.get(seen, 2)


async def tell(exchange) -> None:
    """Answers with the version that the request went out under."""
    await exchange.body()
    await exchange.send(response(200, body=b"%d" % parity(exchange.head)))


async def status(house: House) -> dict:
    answer = await house.get("/_sidecar/status")
    assert answer.status == 200
    return answer.json


async def until(house: House, done) -> dict:
    """Asks for the status until `done` says yes."""
    async with asyncio.timeout(DEADLINE):
        while not done(found := (await status(house))["reload"]):
            await asyncio.sleep(0.02)
    return found


async def explained(house: House, method: str, path: str) -> dict:
    answer = await house.get(f"/_sidecar/explain?method={method}&path={path}")
    assert answer.status == 200
    return answer.json


async def metric(house: House, series: str) -> float:
    lines = (await house.get("/metrics")).body.decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series + " "))


def routes_file(house: House) -> Path:
    return house.sidecar.stderr.parent / "routes.yaml"


async def take(house: House, text: str) -> dict:
    """Writes the file, asks for a reload and waits until the program has judged it."""
    before = (await status(house))["reload"]["at"]
    routes_file(house).write_text(text)
    house.sidecar.signal(signal.SIGHUP)
    return await until(house, lambda state: state["at"] != before)


async def test_no_request_sees_a_mixture_while_the_file_is_edited_in_a_loop(start):
    house = await start(routes=version(0))
    house.upstream.on("/", tell)
    editing = True

    async def ask() -> list[int]:
        """Asks both routes in turn on one connection; the versions it met, repeats left out."""
        client = await house.client()
        met = [0]
        while editing:
            for path in ("/one/x", "/two/x"):
                answer = await client.ask(request("GET", path))
                if int(answer.body) != met[-1]:
                    met.append(int(answer.body))
        return met

    clients = [asyncio.ensure_future(ask()) for _ in range(CLIENTS)]
    try:
        for number in range(1, EDITS + 1):
            assert (await take(house, version(number)))["error"] is None
            assert (await explained(house, "GET", "/one/x"))["route"] == f"one {number}"
    finally:
        editing = False
    for met in await asyncio.gather(*clients):
        assert 2 not in met, "a request was sent with the header of one version and the token of another"
        # Nobody goes back to a version once a later one was met: there are no more changes than edits.
        assert 1 < len(met) <= EDITS + 1, met


async def test_a_broken_file_never_takes_effect_and_is_loudly_visible(start):
    house = await start(routes=version(1))
    path = routes_file(house)
    state = await take(house, version(2).replace("interception: on", "interception: onn", 1))
    assert state["error"].startswith(f"{path}:4:53: error: interception: 'onn' is none of off, on, client")
    assert (await explained(house, "GET", "/one/x"))["route"] == "one 1"
    assert (await house.get("/one/x")).status == 200
    assert parity(house.upstream.seen("/one/x")[-1].head) == 1
    assert await metric(house, "biot_sidecar_config_last_reload_successful") == 0
    assert await metric(house, 'biot_sidecar_config_reloads_total{outcome="failure"}') == 1
    await house.sidecar.until_logged("interception: 'onn' is none of")
    assert (await take(house, version(2)))["error"] is None
    assert (await explained(house, "GET", "/one/x"))["route"] == "one 2"
    assert await metric(house, "biot_sidecar_config_last_reload_successful") == 1


async def test_a_running_request_keeps_its_rules(start):
    house = await start(routes=version(1))
    held = house.upstream.hold("/one/slow")
    client = await house.client()
    await client.send(request("GET", "/one/slow"))
    exchange = await held.next()
    denying = version(2).replace("authorization: none", "deny: closed for good")
    assert (await take(house, denying))["error"] is None
    refused = await house.get("/one/slow")
    assert refused.status == 403
    assert refused.json["message"].count("closed for good") == 1
    await held.answer(exchange, response(200, body=b"as before"))
    assert (await client.read_answer()).body == b"as before"


async def test_new_content_is_seen_without_a_signal_through_the_symlinks_of_a_configmap(start, tmp_path):
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "routes.yaml").write_text(version(number))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    house = await start(SIDECAR_ROUTES=str(tmp_path / "routes.yaml"))
    assert (await explained(house, "GET", "/one/x"))["route"] == "one 1"
    before = (await status(house))["reload"]["at"]
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    await until(house, lambda state: state["at"] != before)
    assert (await explained(house, "GET", "/one/x"))["route"] == "one 2"


async def test_a_file_that_vanishes_leaves_its_rules_in_force(start):
    house = await start(routes=version(1))
    before = (await status(house))["reload"]["at"]
    routes_file(house).unlink()
    house.sidecar.signal(signal.SIGHUP)
    state = await until(house, lambda state: state["at"] != before)
    assert "cannot be read: No such file or directory" in state["error"]
    assert (await explained(house, "GET", "/two/x"))["route"] == "two 1"


async def test_explain_says_the_same_over_http_as_on_the_command_line(start):
    house = await start(routes=version(1))
    for method, path in (("PATCH", "/one/%C3%A9?canary=1"), ("GET", "/organization/organization/v1"), ("GET", "/a/..")):
        words = ["explain", method, path, "--json", "--routes", str(routes_file(house))]
        said = await run_program(*words)
        assert said[0] == 0
        found = await explained(house, method, path.replace("%", "%25").replace("?", "%3F"))
        assert found == json.loads(said[1])
        assert "canary" not in said[1]


@pytest.mark.parametrize("query", ["", "?method=GET", "?path=/a", "?method=&path=", "?method=GET&path=a", "?%FF"])
async def test_explain_over_http_says_what_it_needs(start, query):
    house = await start(routes=version(1))
    assert_ours(await house.get(f"/_sidecar/explain{query}"), 400, "SIDECAR_BAD_REQUEST")


async def test_a_file_whose_own_tests_fail_never_takes_effect(start):
    house = await start(routes=version(1))
    state = await take(house, version(2) + "tests:\n- {request: GET /one/x, expect: {route: two 2}}\n")
    assert "test failed: GET /one/x: route is 'one 2', not 'two 2'" in state["error"]
    assert (await explained(house, "GET", "/one/x"))["route"] == "one 1"


async def run_program(*words: str, **env: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "biot_sidecar", *words,
        env={"PATH": "/usr/bin:/bin", **FORM, **env}, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_start_with_a_wrong_file_says_every_error_and_ends_with_1(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text("version: 2\nroutes: [{name: a, match: get /a}]\n")
    env = {
        "BIOT_BASE_URL": "http://127.0.0.1:9",
        "BIOT_SERVICE_USER_ID": "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11",
        "BIOT_SERVICE_USER_SECRET_KEY": "canary-secret",
        "SIDECAR_LISTEN": "127.0.0.1:0",
    }
    code, out, err = await run_program("serve", "--routes", str(path), **env)
    assert code == 1
    assert err.splitlines() == [
        f"{path}:1:10: error: version '2' is unknown; write version: 1",
        f"{path}:2:27: error: match: 'get' can never match: methods have capitals; write GET",
    ]
    assert "canary-secret" not in out + err


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("bad", 1)])
async def test_check_as_a_process(tmp_path, name, code):
    path = tmp_path / "routes.yaml"
    path.write_text(version(1) if name == "good" else "version: 1\nroutes: [{name: a, match: GET /a, tmeout: 3s}]\n")
    found, out, _ = await run_program("check", "--routes", str(path))
    assert found == code
    assert ("error" in out) == (name == "bad")


async def test_a_start_is_not_hindered_by_warnings(start):
    house = await start(routes=version(1))
    assert house.sidecar.ready_line.startswith("biot-sidecar ready on ")
    await house.sidecar.stop()
    assert "no known BioT operation is * /one/**" in house.sidecar.log()
