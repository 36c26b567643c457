"""AWS Lambda's events, as an extension hears of them: each one's deadline, and the environment's end.

Whoever has registered must ask for the next event before Lambda takes the environment for ready, and again before it
takes an event for done: so the next question follows each answer at once, and rests while the environment is frozen.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.interfaces import Fetch
from biot_sidecar.http.messages import Response
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.process.factories import USER_AGENT, close_upstream, make_deadline_timer
from biot_sidecar.settings import UpstreamUrl
from biot_sidecar.telemetry.access_log import Log

IDENTIFIER_VARIABLE: Final = "BIOT_SIDECAR_EXTENSION"
"""Set by a launcher that has registered already (deploy/aws-lambda/launch.py)."""
_API: Final = b"/2020-01-01/extension"
_NAME: Final = b"biot-sidecar"
_IDENTIFIER: Final = b"lambda-extension-identifier"
_FOR_EVER: Final = 1e9
_REGISTER_SECONDS: Final = 5.0
_LIMIT_BYTES: Final = 64 * 1024
_UNKNOWN: Final = (
    "AWS Lambda does not tell the events' deadlines ({0}): a call may last until Lambda ends plugin and sidecar; "
    "SIDECAR_TIMEOUT_MOST ends calls before"
)


async def follow_events(
    api: str, env: Mapping[str, str], came: Callable[[float], None], log: Log, *, ended: Callable[[], None]
) -> None:
    """Tell `came` of each event's seconds as long as the environment lives, and `ended` of its end."""
    host, _, port = api.rpartition(":")
    address = UpstreamUrl(tls=False, host=host, port=int(port), authority=api.encode(), prefix=b"")
    deadlines = make_deadline_timer()
    pool = Pool(address, None, wall=time.time, clock=time.monotonic, connected=lambda success: None)
    fetch = Fetcher(pool, address, deadlines, USER_AGENT, reuses=True)
    try:
        if await LambdaEvents(fetch, env.get(IDENTIFIER_VARIABLE, ""), came, time.time, log.event).follow():
            ended()
    finally:
        await close_upstream(pool, deadlines)


class NextEvent(msgspec.Struct, rename="camel"):
    """INVOKE or SHUTDOWN; `deadline_ms` is in wall-clock milliseconds."""

    event_type: str
    deadline_ms: float = 0.0


class LambdaEvents:
    """`fetch` asks the Extensions API; `came` is told how many seconds an event has left; `wall` tells seconds."""

    def __init__(
        self,
        fetch: Fetch,
        identifier: str,
        came: Callable[[float], None],
        wall: Callable[[], float],
        event: Callable[[str, str, str], None],
    ) -> None:
        self._fetch = fetch
        self._identifier = identifier.encode()
        self._came = came
        self._wall = wall
        self._event = event

    async def follow(self) -> bool:
        """Hear of event after event; True once the environment ends, False if Lambda tells of none."""
        try:
            self._identifier = self._identifier or await self._register()
            while (event := await self._next()).event_type != "SHUTDOWN":
                self._came(event.deadline_ms / 1000 - self._wall())
        except (UpstreamError, _Refused, msgspec.MsgspecError) as error:
            self._event("warning", "lambda", _UNKNOWN.format(error))
            return False
        return True

    async def _register(self) -> bytes:
        """As an internal extension, which Lambda spares the environment's end."""
        fields = [(b"Lambda-Extension-Name", _NAME)]
        answer = await self._fetch(
            b"POST",
            _API + b"/register",
            fields,
            b'{"events":["INVOKE"]}',
            timeout=_REGISTER_SECONDS,
            limit=_LIMIT_BYTES,
        )
        _check(answer)
        return next((value for name, value in answer.headers if name.lower() == _IDENTIFIER), b"")

    async def _next(self) -> NextEvent:
        fields = [(b"Lambda-Extension-Identifier", self._identifier)]
        answer = await self._fetch(
            b"GET", _API + b"/event/next", fields, b"", timeout=_FOR_EVER, limit=_LIMIT_BYTES, repeatable=True
        )
        _check(answer)
        return msgspec.json.decode(answer.body, type=NextEvent)


class _Refused(Exception):
    """The API answered with another status than success."""


def _check(answer: Response) -> None:
    if not 200 <= answer.status < 300:
        raise _Refused(f"the Extensions API answered {answer.status}")
