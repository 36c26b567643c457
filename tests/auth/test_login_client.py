"""One login: what is asked, what its end is called, and what a process does that slept through it."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_client import TIMEOUT_SECONDS, LoginClient
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.errors import Failure
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.local_responses import http_date
from biot_sidecar.http.messages import Response
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import iso

from tests.support.fakes import Clock

NOW = 1_763_549_574.0
GOOD = Response(200, [], b'{"accessToken": "a.b.c", "accessTokenExpiration": "2030-01-01T00:00:00Z"}')
REQUEST = TokenRequest("string")


class Desk:
    """A login whose ends are given: an answer or a failure, and the seconds it takes by the wall clock."""

    def __init__(self, *ends: tuple[Response | Failure, float]) -> None:
        self.ends = list(ends)
        self.wall = Clock(NOW)
        self.asked: list[tuple] = []
        self.finished: list[tuple] = []
        self.login = LoginClient(self._fetch, "user", wall=self.wall, clock=self.wall, observer=self)

    async def _fetch(self, method, path, headers, body, *, timeout, limit, repeatable) -> Response:
        self.asked.append((method, path, headers, json.loads(body)))
        assert (timeout, limit, repeatable) == (TIMEOUT_SECONDS, 64 * 1024, True)
        end, seconds = self.ends.pop(0)
        self.wall.now += seconds
        if isinstance(end, Response):
            return end
        raise end

    async def __call__(self) -> IssuedToken | LoginFailure:
        return await self.login.obtain(Secret("secret"), REQUEST)

    # the observer

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        self.finished.append((outcome, reason, why))

    def event(self, level: str, event: str, message: str) -> None: ...

    def token_obtained(self, expires: float) -> None: ...

    def clock_compared(self, offset: float) -> None: ...

    def blocked_until(self, moment: float) -> None: ...


async def test_the_request_is_biots():
    desk = Desk((GOOD, 0.5))
    assert isinstance(await desk(), IssuedToken)
    headers = [(b"Content-Type", b"application/json")]
    body = {"id": "user", "secretKey": "secret"}
    assert desk.asked == [(b"POST", b"/ums/v2/services/accessToken", headers, body)]
    assert desk.finished == [("success", "string", "")]


async def test_a_failure_is_told_with_its_name_and_advice():
    desk = Desk((Response(404, [], b""), 0.5))
    result = await desk()
    assert isinstance(result, LoginFailure)
    assert desk.finished == [("malformed", "string", f"{result.text}")]


@pytest.mark.parametrize("fault", [errors.upstream_timeout(TIMEOUT_SECONDS), errors.lost_before_response()])
async def test_a_process_that_slept_through_its_login_tries_again_at_once(fault):
    desk = Desk((fault, 600.0), (GOOD, 0.5))
    assert isinstance(await desk(), IssuedToken)
    assert [outcome for outcome, *_ in desk.finished][1:] == ["success"]
    assert len(desk.asked) == 2


async def test_it_tries_again_once():
    desk = Desk(*[(errors.upstream_timeout(TIMEOUT_SECONDS), 600.0)] * 2)
    assert isinstance(await desk(), LoginFailure)
    assert len(desk.asked) == 2


@pytest.mark.parametrize(
    "end",
    [
        (errors.upstream_timeout(TIMEOUT_SECONDS), TIMEOUT_SECONDS),
        (errors.lost_before_response(), 0.1),
        (Response(500, [], b""), 600.0),
    ],
    ids=["it was BioT that slept", "a lost connection", "an answer"],
)
async def test_other_failures_are_not_tried_again_at_once(end):
    desk = Desk(end)
    assert isinstance(await desk(), LoginFailure)
    assert len(desk.asked) == 1


@pytest.mark.parametrize("off", [-93_600.0, -1860.0, 0.0, 1860.0, 93_600.0])
async def test_a_tokens_life_is_told_by_the_responses_own_date(off):
    body = {"accessToken": "a.b.c", "accessTokenExpiration": iso(NOW + off + 1800)}
    date = http_date(NOW + off).encode()
    desk = Desk((Response(200, [(b"date", date)], json.dumps(body).encode()), 0.0))
    assert await desk() == IssuedToken("a.b.c", NOW, NOW + 1800, date=NOW + off)


async def test_a_retry_after_that_is_a_date_is_told_by_the_responses_own_date():
    headers = [(b"Date", http_date(NOW + 3600).encode()), (b"Retry-After", http_date(NOW + 3617).encode())]
    result = await Desk((Response(503, headers, b""), 0.0))()
    assert isinstance(result, LoginFailure)
    assert result.retry_after == 17
