"""What differs between the only process and a worker: login, loop limiter, incurable routes, inspector."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from biot_sidecar import frugal_start
from biot_sidecar.auth.incurable_routes import IncurableRoutes, Judgement, RouteKey
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.errors import BadSettings
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.interfaces import LoopJudge, Observer, RejectionJudge
from biot_sidecar.process.factories import make_clock, make_fetcher, make_token_provider
from biot_sidecar.process.token_broker import TokenBrokerClient
from biot_sidecar.process.worker_channel import ChannelClosed, WorkerChannel
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


class WorkerProcess(ProcessContext):
    """The context of a worker: its supervisor, over `channel`, and through it the other workers."""

    def __init__(self, channel: WorkerChannel, number: int, size: int, inspector_path: str) -> None:
        self._channel = channel
        self.number = number
        self.size = size
        self.inspector_path = inspector_path
        self.token_provider = TokenBrokerClient(channel)
        self.loops = self._admits
        self._rejections = SharedRejections(channel)
        self.rejections = self._rejections
        self.request_observer = RecordNotifier(channel) if inspector_path else None

    async def set_marked_routes(self, routes: Sequence[Any]) -> None:
        """The supervisor says for which routes responses other than 401 matter."""
        self._rejections.set_marked(routes)

    async def snapshots(self, local: MakeSnapshot, *, scraped: bool) -> list[bytes]:
        try:
            return list(await self._channel.request("snapshots", scraped))
        except ChannelClosed:
            return [local(scraped)]

    async def logins(self, local: list[LoginRecord]) -> list[LoginRecord]:
        try:
            return msgspec.convert(await self._channel.request("logins"), list[LoginRecord])
        except ChannelClosed:
            return local

    async def _admits(self, trace_id: str, method: bytes, path: bytes) -> bool:
        try:
            return bool(await self._channel.request("loop", [trace_id, method, path]))
        except ChannelClosed:
            return True


class RecordNotifier:
    """An Observer that notifies the supervisor of what the inspector may show of a request."""

    def __init__(self, channel: WorkerChannel) -> None:
        from biot_sidecar.inspector.record import record_of  # only for those who look

        self._channel = channel
        self._record_of = record_of

    def finished(self, exchange: Exchange) -> None:
        self._channel.notify("record", self._record_of(exchange, 0))


class LocalRejections:
    """A RejectionJudge that decides in this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.routes = IncurableRoutes(clock)
        self.marked: Collection[RouteKey] = self.routes.cases

    async def judge(self, route: RouteKey, token: bytes, age: float, *, replayed: bool, replayable: bool) -> Judgement:
        return self.routes.judge(route, token, age, replayed=replayed, replayable=replayable)

    def accepted(self, route: RouteKey) -> None:
        self.routes.accepted(route)


class SharedRejections:
    """A RejectionJudge of a worker: the supervisor decides, and notifies all workers of the marked routes."""

    def __init__(self, channel: WorkerChannel) -> None:
        self._channel = channel
        self._known: set[RouteKey] = set()
        self.marked: Collection[RouteKey] = self._known

    async def judge(self, route: RouteKey, token: bytes, age: float, *, replayed: bool, replayable: bool) -> Judgement:
        try:
            judgement: Judgement = await self._channel.request("rejected", [*route, token, age, replayed, replayable])
            return judgement
        except ChannelClosed:
            return "pass"

    def accepted(self, route: RouteKey) -> None:
        if route in self._known:
            self._known.discard(route)
            self._channel.notify("accepted", list(route))

    def set_marked(self, routes: Iterable[Sequence[Any]]) -> None:
        """These are the marked routes now."""
        self._known.clear()
        self._known.update((method, template) for method, template in routes)


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
