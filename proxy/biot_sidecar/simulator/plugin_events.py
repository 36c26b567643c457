"""Everything of the simulator's that calls plugins or tells of it: subscriptions, what was sent, made, chosen."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from biot_sidecar.simulator.delivery import Delivery
from biot_sidecar.simulator.event_log import EventLog
from biot_sidecar.simulator.event_maker import EventMaker
from biot_sidecar.simulator.interception import Post
from biot_sidecar.simulator.notifications import NotificationSubscriptions
from biot_sidecar.simulator.options import ORGANIZATION_ID
from biot_sidecar.simulator.router import Router
from biot_sidecar.simulator.tokens import Tokens
from biot_sidecar.simulator.values import Call, Initiator

_INVENTED_USER: Final = "22222222-2222-2222-2222-222222222222"


class PluginEvents:
    """`post` sends an event; `router` is asked when an event is made; `clock` is the wall clock in seconds."""

    def __init__(self, post: Post, clock: Callable[[], float], tokens: Tokens, router: Callable[[], Router]) -> None:
        self._clock = clock
        self.notifications = NotificationSubscriptions()
        self.log = EventLog(post, clock)
        self.maker = EventMaker(router, tokens, clock, self._initiator_of_made_events)
        self.chosen_initiator: Initiator | None = None
        self.is_closed = False
        self._delivery = Delivery(self.notifications, self.log, lambda scope: tokens.platform_token(clock(), scope))

    def initiator(self, owner: Initiator) -> Initiator:
        """Who events say that it was: whoever was chosen, else the token's owner."""
        return self.chosen_initiator or owner

    def choose_initiator(self, identity: str, token_type: str) -> None:
        """Have events say that it was this one, whoever's token comes."""
        self.chosen_initiator = Initiator(identity, ORGANIZATION_ID, token_type)

    def announce(self, call: Call, source: str) -> None:
        """Tell what a call has changed; `source` is where it came from, `HOST:PORT`."""
        self._delivery.announce(
            call.changes,
            call.initiator,
            began=call.now,
            ended=self._clock(),
            trace_id=call.trace_id,
            traceparent=traceparent_of(call),
            source=source,
        )

    async def close(self) -> None:
        """No event is sent any more."""
        self.is_closed = True
        self.log.wake()
        await self._delivery.close()

    def _initiator_of_made_events(self) -> Initiator:
        return self.chosen_initiator or Initiator(_INVENTED_USER, ORGANIZATION_ID, "USER")


def traceparent_of(call: Call) -> str:
    """The call's traceparent; one that came without, or with none that can be read, is given one of its trace."""
    given = call.headers.get("traceparent", "")
    return given if call.trace_id in given else f"00-{call.trace_id}-{uuid.uuid4().hex[:16]}-01"
