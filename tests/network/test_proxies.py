"""Behind a company's proxy, a real one (tinyproxy), which alone knows where BioT lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.network.conftest import NAME, Network, Upstream
from tests.network.namespace import DEAD, OURS, OURS_6, OURS_TOO
from tests.support import wants
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import DEADLINE, request

pytestmark = [*LIVE, pytest.mark.network]

PORT = 3128
LOGIN = "canary-user:canary-%70w@"
CANARIES = ("canary-user", "canary-pw", "canary-%70w", "Y2FuYXJ5LXVzZXI6")
ONCE = """\
version: 1
defaults: {timeout: 7s, retry: none}
routes: [{name: no token, match: "* /none/**", authorization: none}]
"""
CONFIG = """\
Port {port}
Listen {address}
Timeout 60
LogLevel Info
BasicAuth canary-user canary-pw
ConnectPort 443
"""


@pytest_asyncio.fixture(loop_scope="module", params=[OURS_TOO, OURS_6])
async def proxy(request, network: Network, tmp_path) -> AsyncIterator[str]:
    """A tinyproxy at host and port, which has a hosts file of its own and lets through only who has the password."""
    config, hosts = tmp_path / "tinyproxy.conf", tmp_path / "hosts"
    config.write_text(CONFIG.format(port=PORT, address=request.param))
    hosts.write_text(f"{OURS} {NAME}\n")
    command = f"mount --bind {hosts} /etc/hosts && exec {wants.program('tinyproxy')} -d -c {config}"
    process = await asyncio.create_subprocess_exec(
        *network.namespace.enter, "unshare", "--mount", "--propagation", "private", "sh", "-c", command,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        while b"Accepting connections" not in (line := await process.stdout.readline()):
            assert line, "tinyproxy did not start"
    yield f"[{request.param}]:{PORT}" if ":" in request.param else f"{request.param}:{PORT}"
    process.terminate()
    await process.communicate()


async def test_everything_goes_through_it_and_the_name_is_never_looked_up_here(network, start, proxy):
    network.names.names, network.names.asked = {}, []
    house = await start(Upstream(network, OURS), HTTPS_PROXY=f"http://{LOGIN}{proxy}", NO_PROXY="10.9.0.0/24,.other")
    for _ in range(2):
        assert_passed_on(await house.ask(request("POST", "/x", body=b"x")), 200)
    assert len(house.upstream.logins) == 1
    assert network.names.asked == []
    assert house.sidecar.ready_line.endswith(f" -> https://{NAME} via {proxy}")
    told = house.sidecar.ready_line + (await house.get("/_sidecar/status")).body.decode()
    await house.sidecar.stop()
    said = told + house.sidecar.log()
    assert not [canary for canary in CANARIES if canary in said]


@pytest.mark.parametrize(
    ("login", "port", "serving", "message", "hint"),
    [
        ("", 443, True, "refused with 407", "It wants a user and a password"),
        ("canary-user:canary-wrong@", 443, True, "refused with 401", "It does not take the user and password"),
        (LOGIN, 8443, True, "refused with 403", "Its rules forbid"),
        (LOGIN, 443, False, "refused with 5", "The proxy could not reach"),
    ],
)
async def test_what_it_says_no_to_is_told_with_what_to_do(network, start, proxy, login, port, serving, message, hint):
    upstream = Upstream(network, *[OURS] * serving, port=port)
    house = await start(upstream, routes=ONCE, HTTPS_PROXY=f"http://{login}{proxy}")
    for path in ("/none/x", "/x"):
        answer = await house.ask(request("POST", path, body=b"x"))
        assert_ours(answer, 502, "SIDECAR_PROXY_REFUSED")
        assert f"The proxy {proxy} {message}" in answer.json["message"]
        assert hint in answer.json["details"]["hint"]
    await house.sidecar.stop()
    assert not [canary for canary in CANARIES if canary in house.sidecar.log()]


async def test_every_address_of_the_proxys_own_name_is_tried(network, start, proxy):
    address = proxy.rpartition(":")[0].strip("[]")
    network.names.names["px.test"] = [DEAD, address]
    house = await start(Upstream(network, OURS), HTTPS_PROXY=f"http://{LOGIN}px.test:{PORT}", routes=ONCE)
    assert_passed_on(await house.ask(request("POST", "/x", body=b"x")), 200)
    assert house.sidecar.ready_line.endswith(f" via px.test:{PORT}")


@pytest.mark.thorough
async def test_a_proxy_that_swallows_everything_is_named(network, start):
    house = await start(Upstream(network, OURS), HTTPS_PROXY=f"http://{DEAD}:{PORT}", routes=ONCE)
    answer = await house.ask(request("POST", "/none/x", body=b"x"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_UNREACHABLE")
    assert f"the proxy {DEAD}:{PORT} cannot be used; connecting timed out after 5s" in answer.json["message"]
    answer = await house.ask(request("POST", "/x", body=b"x"))  # the login goes on
    assert_ours(answer, 504, "SIDECAR_LOGIN_TIMEOUT")
    assert f"through the proxy {DEAD}:{PORT}," in answer.json["message"]
