"""A simulator without sockets: a clock that stands still, an interceptor caller that plays from a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID, USER_PASSWORD, SimulatorOptions
from biot_sidecar.simulator.simulator import Incoming, Simulator
from biot_sidecar.simulator.tokens import Signer
from biot_sidecar.simulator.values import Answer, Call, Json
from hypothesis import HealthCheck, settings

# For tests with generated data: none of them is a test of speed, and the machine may be busy.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOW = 1_764_000_000.0  # 2025-11-24T16:00:00Z
CREDENTIALS = {"id": DEFAULT_SERVICE_USER_ID, "secretKey": DEFAULT_SECRET}


class Clock:
    """Wall-clock seconds that move only when told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class ScriptedPost:
    """Answers interceptor events from a list of (status, body); an OSError in it is raised. Keeps what it was asked."""

    def __init__(self, *replies: tuple[int, Any] | OSError) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, Json, dict[str, str]]] = []

    async def __call__(self, url: str, event: Json, headers: Mapping[str, str]) -> tuple[int, Any]:
        self.asked.append((url, event, dict(headers)))
        reply = self.replies.pop(0)
        if isinstance(reply, OSError):
            raise reply
        return reply


class Desk:
    """A Simulator and the means to ask it without HTTP."""

    def __init__(
        self, signer: Signer, options: SimulatorOptions | None = None, *, post: ScriptedPost | None = None
    ) -> None:
        self.clock = Clock()
        self.post = post or ScriptedPost()
        self.simulator = Simulator(options or SimulatorOptions(), self.clock, self.post, signer)

    def token(self) -> str:
        """A fresh token, by a login of its own."""
        return str(self.simulator.login.log_in(Call(body=CREDENTIALS, now=self.clock())).body["accessToken"])

    def user_token(self, username: str) -> str:
        """A fresh token of a person, by a login of its own."""
        body = {"username": username, "password": USER_PASSWORD}
        return str(self.simulator.users.log_in(Call(body=body, now=self.clock())).body["accessJwt"]["token"])

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        interception: tuple[str, ...] = (),
    ) -> Answer:
        """Ask as a client would; an empty `token` logs in first, None sends no token. Bytes go out as they are."""
        fields = dict(headers or {})
        if token is not None:
            fields["Authorization"] = f"Bearer {token or self.token()}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.seen = self.simulator.recorded(method, path, list(fields), fields.get("traceparent"))
        incoming = Incoming(method, path, urlencode(query or {}), fields, interception, raw, "http://sim")
        return await self.simulator.answer(incoming, self.seen)
