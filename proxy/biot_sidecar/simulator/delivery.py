"""Sends notifications: after the change, to each subscribed URL one after the other in their order, whatever becomes of
them. BioT does not wait for a notification and does not heed its reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from biot_sidecar.simulator.interception import Post
from biot_sidecar.simulator.notifications import SCOPE, NotificationSubscriptions, notification
from biot_sidecar.simulator.values import Change, Initiator, Json

HOOK_TYPE: Final = "NOTIFICATION"
MOST_WAITING: Final = 1000
"""Notifications that wait for one slow plugin; beyond that they are dropped, and that is said."""
MOST_PER_TRACE: Final = 25
"""Notifications of one trace: a plugin whose own change notifies it again would go on for ever."""
TRACES: Final = 1000
"""Traces that are counted."""

log = logging.getLogger("biot_sidecar.simulator")


class Delivery:
    """`post` sends an event, `token` makes the platform's token with these scopes."""

    def __init__(
        self,
        subscriptions: NotificationSubscriptions,
        post: Post,
        token: Callable[[str], str],
        most: int = MOST_WAITING,
    ) -> None:
        self._subscriptions = subscriptions
        self._post = post
        self._token = token
        self._most = most
        self._waiting: dict[str, deque[tuple[Json, Mapping[str, str]]]] = {}
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._of_trace: Counter[str] = Counter()

    def announce(
        self,
        changes: Sequence[Change],
        initiator: Initiator,
        *,
        began: float,
        ended: float,
        trace_id: str,
        traceparent: str,
        source: str,
    ) -> None:
        """Tell the changes of one call to whoever is subscribed; returns at once."""
        for change in changes:
            for url in self._subscriptions.wanting(change):
                if self._is_loop(trace_id, change):
                    return
                who = (
                    initiator if initiator.id else Initiator(str(change.entity.get("_id", "")))
                )  # logs in, or signs up
                body = notification(
                    change, who,
                    began=began, ended=ended, trace_id=trace_id, source=source, jwt=self._token(SCOPE),
                )  # fmt: skip
                self._enqueue(url, body, {"hooktype": HOOK_TYPE, "traceparent": traceparent})

    async def close(self) -> None:
        """Give up what is not sent."""
        self._waiting.clear()
        for sender in list(self._senders.values()):
            sender.cancel()
        await asyncio.gather(*self._senders.values(), return_exceptions=True)

    def _enqueue(self, url: str, body: Json, headers: Mapping[str, str]) -> None:
        waiting = self._waiting.setdefault(url, deque())
        if len(waiting) >= self._most:
            log.warning("a notification was dropped: %d wait for the plugin already", self._most)
            return
        waiting.append((body, headers))
        if url not in self._senders:
            self._senders[url] = asyncio.get_running_loop().create_task(self._send_all(url))

    async def _send_all(self, url: str) -> None:
        """Until nothing waits for this URL."""
        waiting = self._waiting[url]
        try:
            while waiting:
                body, headers = waiting.popleft()
                try:
                    await self._post(url, body, headers)
                except OSError:  # TimeoutError is one; the log of events says so
                    continue
        finally:
            self._senders.pop(url, None)

    def _is_loop(self, trace_id: str, change: Change) -> bool:
        if trace_id not in self._of_trace and len(self._of_trace) >= TRACES:
            del self._of_trace[next(iter(self._of_trace))]
        self._of_trace[trace_id] += 1
        if self._of_trace[trace_id] == MOST_PER_TRACE + 1:
            told = f"{change.entity_type}.{change.action}"
            log.warning(
                "%d notifications of one trace, the last %s: probably a loop, no more are sent", MOST_PER_TRACE, told
            )
        return self._of_trace[trace_id] > MOST_PER_TRACE
