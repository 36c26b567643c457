"""BioT's dispatcher subscriptions: the registered interceptors, and BioT's operations on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from biot_sidecar.simulator import search
from biot_sidecar.simulator.interceptors import SAMPLES, Interceptor, from_subscription
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json


class Subscriptions:
    """The registered interceptors, the samples at first. `operations` is asked when a subscription is checked."""

    def __init__(self, operations: Callable[[], Iterable[Operation]]) -> None:
        self._operations = operations
        self._registered: list[Interceptor] = list(SAMPLES)

    def registered(self) -> list[Interceptor]:
        return list(self._registered)

    def add(self, entry: Interceptor) -> None:
        """Register; one of the same name and hook is replaced. No two have one order: older ones move on."""
        others = [other for other in self._registered if _key(other) != _key(entry)]
        self._registered = [*_moved_on(others, entry.order), entry]

    def remove(self, identity: str | None = None) -> int:
        """Remove one by id, or all; returns how many went."""
        before = len(self._registered)
        self._registered = [entry for entry in self._registered if identity and entry.id != identity]
        return before - len(self._registered)

    def is_interceptable(self, api_id: str) -> bool:
        """Whether there is an operation of this name that can be intercepted."""
        return any(one.api_id == api_id and one.interceptable for one in self._operations())

    def configurations(self, call: Call) -> Answer:
        """`GET /settings/v1/interceptions`: what can be intercepted."""
        found = [_configuration(operation) for operation in self._operations() if operation.interceptable]
        return Answer(200, search.search(found, search.parse(call.parameter("searchRequest"))))

    def search(self, call: Call) -> Answer:
        """`GET /dispatcher/v1/hooks/interceptions`."""
        request = search.parse(call.parameter("searchRequest"))
        return Answer(200, search.search([entry.subscription() for entry in self._registered], request))

    def subscribe(self, call: Call) -> Answer:
        """`POST /dispatcher/v1/hooks/interceptions/subscribe`."""
        entry = from_subscription(call.document(), call.now, self._operations())
        self.add(entry)
        return Answer(201, entry.subscription())

    def unsubscribe(self, call: Call) -> Answer:
        """`POST /dispatcher/v1/hooks/interceptions/unsubscribe`."""
        wanted = _key(from_subscription(call.document(), call.now, self._operations()))
        found = next((entry for entry in self._registered if _key(entry) == wanted), None)
        if found is None:
            raise BiotError(404, "INTERCEPTION_NOT_FOUND", "There is no such interception")
        self.remove(found.id)
        return Answer(204)


def _configuration(operation: Operation) -> Json:
    service = operation.path.split("/")[1]
    return {"entityTypeName": operation.entity or service, "servicePrefix": service, "apiId": operation.api_id}


def _moved_on(others: Iterable[Interceptor], taken: int) -> list[Interceptor]:
    """The others, with orders that leave `taken` alone."""
    moved = []
    for other in sorted(others, key=lambda one: one.order):
        if other.order == taken:
            taken += 1
            other = replace(other, order=taken)
        moved.append(other)
    return moved


def _key(entry: Interceptor) -> Sequence[object]:
    return (entry.name, entry.type, entry.api_id, entry.entity, sorted(entry.path_filters.items()))
