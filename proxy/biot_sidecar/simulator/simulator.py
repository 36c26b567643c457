"""The parts of one simulator together: what stands between an HTTP request and an answer, without HTTP itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from biot_sidecar.http.traceparent import trace_id_of
from biot_sidecar.simulator import catalogue, multipart, permissions, seed
from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.facts import facts_of
from biot_sidecar.simulator.faults import FaultBook
from biot_sidecar.simulator.files import Files
from biot_sidecar.simulator.history import History, Seen
from biot_sidecar.simulator.interception import Blocked, Chain, Intercepted, Post
from biot_sidecar.simulator.interceptors import asked_for
from biot_sidecar.simulator.login import ServiceLogin, token_not_valid
from biot_sidecar.simulator.measurements import Measurements
from biot_sidecar.simulator.notifications import notification_operations
from biot_sidecar.simulator.operations import KINDS, Parts, operations
from biot_sidecar.simulator.options import Clock, SimulatorOptions
from biot_sidecar.simulator.people import People
from biot_sidecar.simulator.platform_settings import Messages
from biot_sidecar.simulator.plugin_events import PluginEvents, traceparent_of
from biot_sidecar.simulator.router import SERVICES, Found, Operation, Router, service_of
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.service_users import ServiceUsers
from biot_sidecar.simulator.subscriptions import Subscriptions
from biot_sidecar.simulator.tokens import Issued, Signer, Tokens
from biot_sidecar.simulator.users import Users
from biot_sidecar.simulator.values import Answer, BiotError, Call, Initiator, Json


@dataclass(frozen=True)
class Incoming:
    """A request as HTTP gave it, and the `source` it came from, `HOST:PORT`. `path` and `query` are raw; `interception`
    are the values of allow-interception.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    interception: tuple[str, ...]
    body: bytes
    base_url: str
    source: str = "127.0.0.1:0"


class Simulator:
    """One BioT on your desk. `post` calls interceptors that have a URL."""

    def __init__(self, options: SimulatorOptions, clock: Clock, post: Post, signer: Signer) -> None:
        self.options = options
        self.clock = clock
        self.secret_keys = SecretKeys(options, clock())
        self.tokens = Tokens(signer)
        self.login = ServiceLogin(options, self.tokens, lambda user: self.service_users.keys(user))
        self.files = Files()
        self.faults = FaultBook(options.faults)
        self.history = History(options.history)
        self.subscriptions = Subscriptions(lambda: self.router.operations)
        self.entities = Entities(KINDS, clock())
        seed.plant(self.entities, clock())
        people = People(self.entities)
        self._people, self._messages = people, Messages()
        self.service_users = ServiceUsers(self.entities, options, self.secret_keys, clock())
        self.users = Users(self.entities, people, self.tokens, options)
        simulated = operations(
            Parts(
                entities=self.entities,
                people=people,
                users=self.users,
                login=self.login,
                service_users=self.service_users,
                files=self.files,
                measurements=Measurements(self.entities.of("device")),
                subscriptions=self.subscriptions,
                messages=self._messages,
            )
        )
        self.plugin_events = PluginEvents(post, clock, self.tokens, lambda: self.router)
        hooks = notification_operations(self.plugin_events.notifications)
        self.router = Router(catalogue.completed([*simulated, *hooks]))
        self._chain = Chain(
            self.subscriptions.registered,
            self.plugin_events.log,
            lambda: self.tokens.platform_token(clock(), "PLUGIN_INTERCEPTOR"),
            lambda method, path: self.router.find(method, path),
        )

    async def answer(self, incoming: Incoming, seen: Seen) -> Answer:
        """What BioT would answer; refusals come back in BioT's error shape."""
        try:
            return await self._serve(incoming, seen)
        except Blocked as blocked:
            return blocked.answer
        except BiotError as error:
            return self.refusal(error, seen)

    def receive_sms(self, sender: str, text: str, source: str) -> Json:
        """A text message comes in from a person, named by phone number or id. Raises BiotError 404."""
        found = self._people.at_phone(sender) or self._people.find(sender)
        if found is None:
            raise BiotError(404, "USER_NOT_FOUND", f"Nobody has the phone number or id [{sender}]", {"id": sender})
        call = Call(now=self.clock(), trace_id=uuid.uuid4().hex, initiator=Initiator(found[0].id_of(found[1])))
        shown = self.entities.shown(*found)
        call.changes.append(self._messages.incoming((found[0], shown), text))
        self.plugin_events.announce(call, source)
        return {"userId": call.initiator.id, "told": bool(self.plugin_events.notifications.wanting(call.changes[0]))}

    def refusal(self, error: BiotError, seen: Seen) -> Answer:
        return error.answer(SERVICES.get(service_of(seen.path), "BioT"), seen.trace_id)

    def recorded(self, method: str, path: str, header_names: list[str], traceparent: str | None) -> Seen:
        """A new entry of the history, to be filled while the request is served."""
        trace_id = trace_id_of((traceparent or "").encode("latin-1", "replace")) or uuid.uuid4().hex
        return self.history.add(self.clock(), method, path, header_names, trace_id)

    async def _serve(self, incoming: Incoming, seen: Seen) -> Answer:
        found = self.router.find(incoming.method, incoming.path)
        issued = self._token(incoming, seen)
        operation = _admitted(found, issued, seen)
        if self.options.only_scopes:
            permissions.check(operation, issued)
        call = Call(
            variables=dict(found.variables),
            query=parse_qs(incoming.query, keep_blank_values=True),
            body=_parsed(incoming, operation),
            now=self.clock(),
            base_url=incoming.base_url,
            trace_id=seen.trace_id,
            headers=incoming.headers,
            api_id=operation.api_id,
            initiator=self.plugin_events.initiator(issued.initiator if issued else Initiator()),
            lenient=self.options.lenient,
        )
        if operation.method == "GET":
            await self.entities.prepare(operation.entity, call.parameter("searchRequest"))
        seen.interception = asked_for(incoming.interception)
        try:
            if seen.interception and operation.interceptable:
                return await self._intercepted(incoming, operation, call, seen)
            return operation.handler(call)
        finally:  # what has changed is told, whatever an interceptor makes of the answer
            self.plugin_events.announce(call, incoming.source)

    def _token(self, incoming: Incoming, seen: Seen) -> Issued | None:
        """The valid token that the request carries, if it does."""
        authorization = incoming.headers.get("Authorization")
        if authorization is None:
            return None
        issued = self.tokens.recognise(authorization, self.clock())
        seen.token = "valid" if issued else "invalid"
        return issued

    async def _intercepted(self, incoming: Incoming, operation: Operation, call: Call, seen: Seen) -> Answer:
        request = Intercepted(
            operation=operation,
            call=call,
            path=incoming.path,
            headers=incoming.headers,
            initiator=_initiator_data(call.initiator),
            traceparent=traceparent_of(call),
            source=incoming.source.rpartition(":")[0],
            ran=seen.interceptors,
        )
        return await self._chain.run(request)


def _initiator_data(initiator: Initiator) -> Json:
    return {
        "subjectId": initiator.id,
        "ownerOrganizationId": initiator.organization,
        "tokenType": initiator.token_type,
    }


def _admitted(found: Found, issued: Issued | None, seen: Seen) -> Operation:
    """The operation, if the simulator has it and the token allows it.

    An operation that is only in BioT's catalogue is refused before anybody's token is looked at: it is no missing
    entity (404) and no dead token (401).
    """
    operation = found.operation
    if operation is not None and not operation.simulated:
        raise catalogue.not_simulated(operation)
    public = operation.public if operation else not service_of(seen.path)
    if not public and issued is None:
        raise token_not_valid()
    if operation is None:
        others = f"; with this path it has {', '.join(found.allowed)}" if found.allowed else ""
        raise BiotError(404, "NOT_FOUND", f"BioT has no such operation{others}")
    return operation


def _parsed(incoming: Incoming, operation: Operation) -> Any:
    """The JSON body of what has one; plugins send an empty object with GET too, which means nothing."""
    has_body = incoming.method in ("POST", "PUT", "PATCH") or facts_of(operation.api_id).body is not None
    if not has_body or not incoming.body:
        return None
    kind = incoming.headers.get("Content-Type", "")
    if facts_of(operation.api_id).multipart and kind.startswith("multipart/form-data"):
        return multipart.parts_of(kind, incoming.body)
    try:
        return json.loads(incoming.body)
    except ValueError:
        raise BiotError(400, "BAD_REQUEST", "The request body is not JSON") from None
