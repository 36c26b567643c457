"""A worker's process_context: what its supervisor decides and counts for all workers, it asks over the channel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from biot_sidecar.auth.incurable_routes import Judgement, RouteKey
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.process.process_context import MakeSnapshot, ProcessContext
from biot_sidecar.process.token_broker import TokenBrokerClient
from biot_sidecar.process.worker_channel import ChannelClosed, WorkerChannel


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
