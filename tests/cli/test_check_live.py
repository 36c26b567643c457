"""`biot-sidecar check --live` against the simulator and against upstreams that do not want to."""

from __future__ import annotations

import asyncio
import json

import pytest
from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID
from biot_sidecar.simulator.server import running_simulator

from tests.cli.support import ran

ROUTES = """\
version: 1
routes:
  - {name: patients, match: "PATCH /organization/v1/users/patients/{id}", interception: on}
  - {name: searches, match: GET /organization/v1/users/caregivers, interception: on}
  - {name: vain, match: "* /dms/v1/analytics/**", interception: client}
"""


@pytest.fixture
def routes(tmp_path):
    (tmp_path / "r.yaml").write_text(ROUTES)
    return str(tmp_path / "r.yaml")


def settings(url: str, secret: str = DEFAULT_SECRET) -> dict[str, str]:
    return {
        "BIOT_BASE_URL": url,
        "BIOT_SERVICE_USER_ID": DEFAULT_SERVICE_USER_ID,
        "BIOT_SERVICE_USER_SECRET_KEY": secret,
    }


async def check(capsys, routes, env):
    """In a thread: the command has an event loop of its own."""
    return await asyncio.to_thread(ran, capsys, "check", "--live", "--routes", routes, **env)


async def test_it_says_which_routes_run_what(capsys, routes):
    async with running_simulator() as url:
        found = await check(capsys, routes, settings(url))
    assert found.status == 0
    patients, searches, vain = found.out[1:]
    assert patients.startswith(
        f"{routes}:3: 'patients' runs, for PATCH /organization/v1/users/patients/{{id}}: PRE_REQ"
    )
    assert searches == f"{routes}:4: 'searches' runs no interceptor now: nobody listens to the operation it matches"
    assert vain.startswith(f"{routes}:5:1: warning: 'vain' can never run an interceptor")


async def test_a_refused_login_is_an_error_without_the_secret(capsys, routes):
    async with running_simulator() as url:
        found = await check(capsys, routes, settings(url, "canary-wrong"))
    assert found.status == 1
    assert found.out[-1].startswith(
        "BIOT_BASE_URL: error: BioT rejected the service user's id or secret (LOGIN_FAILED)."
    )
    assert "canary-wrong" not in "".join([*found.out, *found.err])


async def test_an_upstream_that_is_not_there_is_an_error(capsys, routes):
    found = await check(capsys, routes, settings("http://127.0.0.1:9"))
    assert found.status == 1
    assert "BioT cannot be reached at 127.0.0.1:9: it refused the connection" in found.out[-1]


async def test_without_credentials_it_is_an_error(capsys, routes):
    found = await check(capsys, routes, {})
    assert found.status == 1
    assert found.out[0].startswith("BIOT_BASE_URL: error: is not set")


async def test_wrong_rules_are_not_taken_to_biot(capsys, tmp_path):
    (tmp_path / "r.yaml").write_text("version: 2\n")
    found = await check(capsys, str(tmp_path / "r.yaml"), settings("http://127.0.0.1:9"))
    assert found.out == [f"{tmp_path}/r.yaml:1:10: error: version '2' is unknown; write version: 1"]


class Biot:
    """Logs anybody in, and answers every search with what the test says."""

    def __init__(self, status: int, body: bytes) -> None:
        self._status = status
        self._body = body
        self.authorizations: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n"))}
        await reader.readexactly(int(fields[b"content-length"]))
        status, body = self._status, self._body
        if head.startswith(b"POST /ums/v2/services/accessToken "):
            status, body = 200, b'{"accessToken": "canary-token", "accessTokenExpiration": "2999-01-01T00:00:00.000Z"}'
        else:
            self.authorizations.append(fields[b"authorization"])
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        writer.close()


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (403, b'{"code": "ACCESS_DENIED"}', "BioT answered 403; the service user needs the permission "
         "SETTINGS_SEARCH_INTERCEPTION_SUBSCRIPTION_CONFIGURATIONS"),
        (500, b"canary-body", "BioT answered 500"),
        (200, b"canary-body", "BioT's answer cannot be read: it is no search result"),
    ],
)  # fmt: skip
async def test_an_answer_that_helps_nobody_is_an_error(capsys, routes, status, body, problem):
    biot = Biot(status, body)
    async with await asyncio.start_server(biot, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await check(capsys, routes, settings(f"http://127.0.0.1:{port}"))
    assert found.status == 1
    assert found.out[-1] == f"BIOT_BASE_URL: error: GET /settings/v1/interceptions: {problem}"
    assert biot.authorizations == [b"Bearer canary-token"]
    assert "canary" not in "".join([*found.out, *found.err])


async def test_every_page_is_read(capsys, routes):
    items = [{"apiId": "GET/organization/v1/users/caregivers", "entityTypeName": "caregiver"}]
    page = {"data": items, "metadata": {"page": {"totalResults": 3, "page": 0, "limit": 1}}}
    biot = Biot(200, json.dumps(page).encode())
    async with await asyncio.start_server(biot, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await check(capsys, routes, settings(f"http://127.0.0.1:{port}"))
    assert found.status == 0
    assert len(biot.authorizations) == 200  # it says that more follow for ever; both searches end all the same
