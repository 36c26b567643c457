"""`biot-sidecar login` against the simulator, and against what is no BioT."""

from __future__ import annotations

import asyncio
import re
import ssl

import pytest
from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID
from biot_sidecar.simulator.server import running_simulator

from tests.cli.support import Ran, ran
from tests.support.authority import Authority
from tests.support.scripted_upstream import TOKEN_CANARY, ScriptedUpstream
from tests.support.wire import response


def settings(url: str, secret: str = DEFAULT_SECRET) -> dict[str, str]:
    return {
        "BIOT_BASE_URL": url,
        "BIOT_SERVICE_USER_ID": DEFAULT_SERVICE_USER_ID,
        "BIOT_SERVICE_USER_SECRET_KEY": secret,
    }


async def login(capsys: pytest.CaptureFixture[str], *words: str, **env: str) -> Ran:
    """In a thread: the command has an event loop of its own."""
    return await asyncio.to_thread(ran, capsys, "login", *words, **env)


async def test_it_says_when_the_token_expires_and_how_long_it_took(capsys):
    async with running_simulator() as url:
        said = await login(capsys, **settings(url))
    assert said.status == 0
    assert said.err == []
    assert re.fullmatch(
        rf"logged in at {url} as {DEFAULT_SERVICE_USER_ID} in \d+ ms; "
        r"the token expires at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, in (30m|29m\d+s)\n"  # what is left of 30 minutes
        r"the secret key does not end",
        "\n".join(said.out),
    )


async def test_the_flag_wins_over_the_environment(capsys):
    async with running_simulator() as url:
        assert (await login(capsys, "--upstream", url, **settings("http://127.0.0.1:9"))).status == 0


async def test_the_token_and_the_secret_are_not_said(capsys):
    async with ScriptedUpstream() as upstream:
        said = await login(capsys, **settings(upstream.url, "canary-secret"))
    assert said.status == 0
    assert TOKEN_CANARY not in str(said)
    assert "canary-secret" not in str(said)


async def test_a_rejected_login_says_what_to_do(capsys):
    async with running_simulator() as url:
        said = await login(capsys, **settings(url, "canary-wrong"))
    assert said.status == 1
    assert said.out == []
    assert said.err[0].startswith(
        "biot-sidecar: BioT rejected the service user's id or secret (LOGIN_FAILED). (SIDECAR_LOGIN_REJECTED, after "
    )
    assert said.err[1].startswith("biot-sidecar: Check BIOT_SERVICE_USER_ID")
    assert "canary-wrong" not in str(said)
    assert "paused" not in str(said)


async def test_an_answer_that_is_no_login_is_told_in_one_sentence(capsys):
    async def page(exchange) -> None:
        await exchange.send(response(200, body=b"<html>canary-page</html>"))

    async with ScriptedUpstream() as upstream:
        upstream.login_script = page
        said = await login(capsys, **settings(upstream.url))
    assert said.status == 1
    assert said.err[0].startswith("biot-sidecar: BioT's answer to the login is not JSON. (SIDECAR_LOGIN_MALFORMED")
    assert "canary" not in str(said)


async def test_nobody_there_is_told_in_one_sentence(capsys):
    said = await login(capsys, **settings("http://127.0.0.1:9"))
    assert said.status == 1
    assert "it refused the connection" in said.err[0]


async def test_a_secret_file_that_cannot_be_read_any_more_is_told(capsys, tmp_path):
    file = tmp_path / "secret"
    file.write_text("\n")
    env = settings("http://127.0.0.1:9") | {"BIOT_SERVICE_USER_SECRET_KEY_FILE": str(file)}
    del env["BIOT_SERVICE_USER_SECRET_KEY"]
    said = await login(capsys, **env)
    assert said.status == 1
    assert "it is empty" in said.err[0]


def test_every_wrong_setting_is_told_at_once(capsys):
    said = ran(capsys, "login", BIOT_BASE_URL="ftp://x")
    assert said.status == 1
    assert len(said.err) == 3


async def test_when_the_key_ends_is_not_asked_where_that_is_turned_off(capsys):
    async with running_simulator() as url:
        said = await login(capsys, **settings(url), SIDECAR_SECRET_KEY_CHECK="0")
    assert (said.status, len(said.out)) == (0, 1)


async def test_a_biot_that_does_not_tell_when_the_key_ends_is_no_failure(capsys):
    async with ScriptedUpstream() as upstream:
        upstream.on("/ums/v2/services/self", response(403, body=b"{}"))
        said = await login(capsys, **settings(upstream.url))
        assert [one.target for one in upstream.requests] == [b"/ums/v2/services/self"]
    assert said.status == 0
    assert said.out[1].startswith("it is not known when the secret key ends: BioT does not permit it (403; ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_tls_agreed_on_is_said_and_whether_the_next_connection_resumed_it(capsys, tmp_path, version):
    authority = Authority(tmp_path)
    context = authority.server_context()
    context.minimum_version = context.maximum_version = version
    async with ScriptedUpstream(context) as upstream:
        said = await login(capsys, **settings(upstream.url), SIDECAR_CA_FILE=str(authority.ca_file))
    assert said.status == 0
    assert re.fullmatch(
        rf"{version.name.replace('_', '.')}, [A-Z0-9_-]+(, [A-Za-z0-9]+)?, not resumed; the next connection: resumed",
        said.out[1],
    )
