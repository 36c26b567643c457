"""The program behind a company's proxy: calls, logins, what it says about it, and what it never says."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest_asyncio

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_proxy import ScriptedProxy
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import SECRET, USER
from tests.support.wire import request

pytestmark = LIVE
NAME = "api.biot.test"  # resolves nowhere
LOGIN, CANARIES = "canary-user:canary-w%6Frd@", ("canary-user", "canary-w", "Y2FuYXJ5LXVzZXI6")


@pytest_asyncio.fixture(loop_scope="module")
async def behind(start, authority):
    """Start a sidecar whose BioT is reached through a proxy alone."""
    upstream = ScriptedUpstream(tls=authority.server_context(NAME))
    proxy = ScriptedProxy({})
    async with proxy.serving():

        async def begin(**settings):
            house = await start(
                upstream=upstream,
                SIDECAR_CA_FILE=str(authority.ca_file),
                BIOT_BASE_URL=f"https://{NAME}",
                HTTPS_PROXY=f"http://{LOGIN}127.0.0.1:{proxy.port}",
                **settings,
            )
            proxy.tunnels[f"{NAME}:443"] = upstream.port
            return house, proxy

        yield begin


async def test_calls_and_logins_go_through_it_and_the_program_says_so(behind):
    house, proxy = await behind(SIDECAR_LOGIN_AT_START="0")
    assert_passed_on(await house.get("/x"), 200)
    assert len(house.upstream.logins) == 1
    assert set(proxy.asked) == {f"CONNECT {NAME}:443 HTTP/1.1"}
    assert all(b"Proxy-Authorization: Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXdvcmQ=\r\n" in head for head in proxy.heads)
    assert house.upstream.requests[-1].head.values(b"host") == [NAME.encode()]
    assert not house.upstream.requests[-1].head.values(b"proxy-authorization")
    assert house.sidecar.ready_line.endswith(f" -> https://{NAME} via 127.0.0.1:{proxy.port}")
    status = await house.get("/_sidecar/status")
    assert json.loads(status.body)["upstream"] == {"url": f"https://{NAME}", "proxy": f"127.0.0.1:{proxy.port}"}
    metrics = await house.get("/metrics")
    await house.sidecar.stop()
    for text in (house.sidecar.log(), status.body.decode(), metrics.body.decode(), house.sidecar.ready_line):
        assert not [canary for canary in CANARIES if canary in text]


async def test_a_proxy_that_refuses_is_told_by_calls_and_by_logins(behind):
    house, proxy = await behind(SIDECAR_LOGIN_AT_START="0")
    forbidden = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    for path in ("/none/x", "/x"):  # without a token, and the login's own
        proxy.answers, before = [forbidden], len(proxy.heads)
        answer = await house.ask(request("GET", path))
        assert_ours(answer, 502, "SIDECAR_PROXY_REFUSED")
        assert len(proxy.heads) == before + 1  # a 403 is not tried again
        assert f"127.0.0.1:{proxy.port} refused with 403".encode() in answer.body
        assert not [canary for canary in CANARIES if canary.encode() in answer.body]
    metrics = (await house.get("/metrics")).body.decode()
    assert 'logins_total{outcome="proxy_refused",reason="start"} 1.0' in metrics
    proxy.answers = [b"HTTP/1.1 502 Bad Gateway\r\n\r\n"]
    assert_passed_on(await house.ask(request("POST", "/none/x", body=b"x")), 200)  # counts as a connect failure
    await house.sidecar.stop()
    assert not [canary for canary in CANARIES if canary in house.sidecar.log()]


async def test_login_and_check_say_through_which_proxy(authority):
    upstream = ScriptedUpstream(tls=authority.server_context(NAME))
    proxy = ScriptedProxy({})
    async with proxy.serving(), upstream:
        proxy.tunnels[f"{NAME}:443"] = upstream.port
        env = {
            "PATH": os.environ["PATH"],
            "BIOT_BASE_URL": f"https://{NAME}",
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
            "SIDECAR_CA_FILE": str(authority.ca_file),
            "https_proxy": f"http://{LOGIN}127.0.0.1:{proxy.port}",
        }
        said = await asyncio.gather(*(run(env, command) for command in ("login", "check")))
    assert f"logged in at https://{NAME} via 127.0.0.1:{proxy.port} as" in said[0]
    assert f"BIOT_BASE_URL: through the proxy 127.0.0.1:{proxy.port} (https_proxy)" in said[1]
    assert not [canary for canary in CANARIES if canary in "".join(said)]


async def run(env: dict[str, str], *words: str) -> str:
    """What a command of the program says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "biot_sidecar",
        *words,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    text, _ = await process.communicate()
    assert process.returncode == 0, text
    return text.decode()
