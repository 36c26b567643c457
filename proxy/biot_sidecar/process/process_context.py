"""What differs between the only process and a worker: login, loop limiter, incurable routes, inspector.

The only process's is here, and the supervisor's; a worker's is worker_context.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from biot_sidecar import frugal_start
from biot_sidecar.auth.incurable_routes import IncurableRoutes, Judgement, RouteKey
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.errors import BadSettings
from biot_sidecar.http.interfaces import LoopJudge, Observer, RejectionJudge
from biot_sidecar.process.factories import make_clock, make_fetcher, make_token_provider
from biot_sidecar.routing.loop_limiter import LoopLimiter
from biot_sidecar.settings import Settings

if TYPE_CHECKING:
    from biot_sidecar.http.deadlines import DeadlineTimer
    from biot_sidecar.http.interfaces import LoginObserver
    from biot_sidecar.http.upstream_pool import Pool
    from biot_sidecar.inspector.inspector import Inspector

Report = Callable[[BaseException], None]
MakeSnapshot = Callable[[bool], bytes]
"""What a process has counted; True: a scrape will show it."""


class ProcessContext(Protocol):
    """A serving process's view of the whole program; by default there is nothing to start, to drain and to close."""

    token_provider: TokenProvider
    """Gets a token for everybody."""
    loops: LoopJudge
    rejections: RejectionJudge
    request_observer: Observer | None
    """The inspector's observer of requests; None while the inspector is off."""
    inspector_path: str
    """The unix socket that serves the inspector; empty while the inspector is off."""
    number: int
    """This process's number, from 0; number 0 speaks for all where all would say the same."""
    size: int
    """Processes that serve requests."""

    async def snapshots(self, local: MakeSnapshot, *, scraped: bool) -> list[bytes]:
        """The counts of all processes; `local` makes this one's. `scraped`: a scrape shows them."""

    async def logins(self, local: list[LoginRecord]) -> list[LoginRecord]:
        """The latest tokens and failed logins of all processes, oldest first; `local` are this one's."""

    async def start(self) -> None:
        """Serve what belongs to this process alone."""
        return

    def drain(self) -> None:
        """Let go of what would hold up the end."""
        return

    async def close(self) -> None:
        """End what `start` began."""
        return


class SingleProcess(ProcessContext):
    """The context of the only process, and of the supervisor, which does for its workers what one alone would do.

    Raises BadSettings.
    """

    number = 0
    size = 1

    def __init__(
        self, settings: Settings, pool: Pool, deadlines: DeadlineTimer, observer: LoginObserver, report: Report
    ) -> None:
        self.token_provider = make_token_provider(settings, make_fetcher(settings, pool, deadlines), observer)
        self.loops = make_loop_limiter(settings.loop_limit)
        self.rejections = LocalRejections(make_clock())
        self.inspector = make_inspector(report) if settings.inspect else None
        self._events_fd = settings.events_fd
        self.request_observer = None if self.inspector is None else self.inspector.recorder
        self.inspector_path = "" if self.inspector is None else self.inspector.path

    async def snapshots(self, local: MakeSnapshot, *, scraped: bool) -> list[bytes]:
        return [local(scraped)]

    async def logins(self, local: list[LoginRecord]) -> list[LoginRecord]:
        return local

    async def start(self) -> None:
        if self.inspector is not None:
            await self.inspector.start(self._events_fd)

    def drain(self) -> None:
        if self.inspector is not None:
            self.inspector.end_streams()

    async def close(self) -> None:
        if self.inspector is not None:
            await self.inspector.stop()


class LocalRejections:
    """A RejectionJudge that decides in this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.routes = IncurableRoutes(clock)
        self.marked: Collection[RouteKey] = self.routes.cases

    async def judge(self, route: RouteKey, token: bytes, age: float, *, replayed: bool, replayable: bool) -> Judgement:
        return self.routes.judge(route, token, age, replayed=replayed, replayable=replayable)

    def accepted(self, route: RouteKey) -> None:
        self.routes.accepted(route)


def make_loop_limiter(limit: int) -> LoopJudge:
    """A loop limiter of this process."""
    limiter = LoopLimiter(make_clock(), limit)

    async def admits(trace_id: str, method: bytes, path: bytes) -> bool:
        return limiter.admits(trace_id, method, path)

    return admits


def make_inspector(report: Report) -> Inspector:
    """Raises BadSettings."""
    try:
        frugal_start.defer_package("aiohttp")  # its client
        from biot_sidecar.inspector.inspector import Inspector  # aiohttp: 80 ms and 10 MB for those who look
    except ModuleNotFoundError as error:
        missing = error.name
    else:
        return Inspector(report)
    raise BadSettings([f"SIDECAR_INSPECT: the inspector needs the package {missing}, which is not installed here"])
