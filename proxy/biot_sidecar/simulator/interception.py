"""Runs an operation amid its interceptors, in BioT's order: PRE_REQUEST, the operation, ADAPT_ENTITY, POST_REQUEST."""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from biot_sidecar.simulator.interceptors import ADAPT, POST, PRE, Interceptor, chain
from biot_sidecar.simulator.router import Found, Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json

HOOK_TYPES = {PRE: "INTERCEPTOR_PRE", ADAPT: "INTERCEPTOR_POST_ENTITY", POST: "INTERCEPTOR_POST"}
"""The `hooktype` header by which a plugin tells the events apart."""

_LANGUAGE = "en-us"
"""What BioT speaks unless it is asked for another language."""

MOST_RUNNING = 100
"""Interceptor calls at a time; a loop of interceptors ends here and not with the last file descriptor."""


class Post(Protocol):
    """POSTs an event to an interceptor; returns status and parsed JSON body (None if it is no JSON)."""

    async def __call__(self, url: str, event: Json, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Raises OSError or TimeoutError if the interceptor cannot be reached."""


@dataclass
class Intercepted:
    """What one request's chain works on. `ran` names the interceptors that ran, in order."""

    operation: Operation
    call: Call
    path: str
    headers: Mapping[str, str]
    initiator: Json
    traceparent: str = ""
    source: str = "127.0.0.1"  # where the call came from, as x-forwarded-for says it
    ran: list[str] = field(default_factory=list)


class Chain:
    """Runs interceptors; `interceptors` is asked at each step, `token` makes the platform's own token."""

    def __init__(
        self,
        interceptors: Callable[[], list[Interceptor]],
        post: Post,
        token: Callable[[], str],
        find: Callable[[str, str], Found],
    ) -> None:
        self._interceptors = interceptors
        self._find = find
        self._post = post
        self._token = token
        self._running = 0

    async def run(self, request: Intercepted) -> Answer:
        """The answer after all interceptors; raises BiotError, or Blocked when an interceptor refuses."""
        for entry in chain(self._interceptors(), PRE, request.operation, request.call.variables):
            request.call = await self._before(entry, request)
        operation, variables = request.operation, request.call.variables
        answer = operation.handler(request.call)
        for entry in chain(self._interceptors(), ADAPT, operation, variables):
            answer = await self._adapt(entry, request, answer)
        for entry in chain(self._interceptors(), POST, operation, variables):
            answer = await self._after(entry, request, answer)
        return answer

    async def _before(self, entry: Interceptor, request: Intercepted) -> Call:
        """The call as a PRE_REQUEST interceptor leaves it: body, query, headers and path. Raises BiotError."""
        request.ran.append(entry.name)
        call = request.call
        if not entry.url:
            return replace(call, body=call.body | entry.sets) if isinstance(call.body, dict) else call
        changed = (await self._ask(entry, request, {})).get("request") or {}
        if isinstance(changed.get("headers"), dict):
            request.headers = {str(name): str(value) for name, value in changed["headers"].items()}
        call = replace(
            call,
            body=changed.get("body", call.body),
            query=_query(changed.get("queryParameters"), call.query),
            headers=request.headers,
        )
        path = changed.get("path")
        return self._navigated(request, call, path) if isinstance(path, str) and path != request.path else call

    def _navigated(self, request: Intercepted, call: Call, path: str) -> Call:
        """The call of another operation of the same service, to which an interceptor has sent it."""
        found = self._find(request.operation.method, path)
        if found.operation is None or not found.operation.simulated or _service(path) != _service(request.path):
            message = f"An interceptor sent the call to {path}, which is no operation of the same service"
            raise BiotError(404, "NOT_FOUND", message)
        request.operation, request.path = found.operation, path
        return replace(call, variables=dict(found.variables), api_id=found.operation.api_id)

    async def _adapt(self, entry: Interceptor, request: Intercepted, answer: Answer) -> Answer:
        """The answer with its entities as an ADAPT_ENTITY interceptor leaves them."""
        request.ran.append(entry.name)
        entities = _entities(answer.body)
        if not entry.url:
            return replace(answer, body=_with_entities(answer.body, [entity | entry.sets for entity in entities]))
        event = {"response": {"entities": entities, "httpStatusCode": status_name(answer.status)}}
        changed = (await self._ask(entry, request, event)).get("response") or {}
        status = _status(changed, answer.status)
        return Answer(status, _with_entities(answer.body, changed.get("entities", entities)))

    async def _after(self, entry: Interceptor, request: Intercepted, answer: Answer) -> Answer:
        """The answer as a POST_REQUEST interceptor leaves it."""
        request.ran.append(entry.name)
        if not entry.url:
            body = answer.body | entry.sets if isinstance(answer.body, dict) else answer.body
            return replace(answer, body=body)
        event = {"response": {"body": answer.body, "httpStatusCode": status_name(answer.status)}}
        changed = (await self._ask(entry, request, event)).get("response") or {}
        return Answer(_status(changed, answer.status), changed.get("body", answer.body))

    async def _ask(self, entry: Interceptor, request: Intercepted, extra: Json) -> Json:
        """POST the event; a status that is not 2xx blocks the call and is what the caller gets."""
        headers = {
            "hooktype": HOOK_TYPES[entry.type],
            "authorization": f"Bearer {self._token()}",
            "accept-language": _lower(request.headers).get("accept-language", _LANGUAGE),
            "traceparent": request.traceparent,
        }
        if self._running >= MOST_RUNNING:
            raise _failed(f"{MOST_RUNNING} interceptor calls are waiting at once: probably a loop")
        self._running += 1
        try:
            status, reply = await self._post(entry.url, event(request) | extra, headers)
        except OSError:  # TimeoutError is one
            raise _failed(f"The interceptor [{entry.name}] cannot be reached") from None
        finally:
            self._running -= 1
        if not 200 <= status <= 299:
            if isinstance(reply, dict):
                raise Blocked(Answer(status, reply))
            message = f"The interceptor [{entry.name}] refused the call"
            raise BiotError(status, "INTERCEPTOR_API_BLOCKED", message)
        return reply if isinstance(reply, dict) else {}


class Blocked(Exception):
    """An interceptor refused the call; `answer` goes to the caller as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def event(request: Intercepted) -> Json:
    """BioT's interceptor event: who called what. As at BioT, `headers` are all of the original ones."""
    call, operation = request.call, request.operation
    return {
        "initiatorData": request.initiator,
        "method": operation.method,
        "entityName": operation.entity,
        "apiId": operation.api_id,
        "request": {
            "body": call.body,
            "path": request.path,
            "queryParameters": dict(call.query),
            "headers": _original_headers(request),
            "pathVariables": [{"name": name, "value": value} for name, value in call.variables.items()],
        },
    }


def _original_headers(request: Intercepted) -> dict[str, str]:
    """The original ones with names in lower case, and those that BioT's load balancer and gateway add."""
    added = {"accept-language": _LANGUAGE, "traceparent": request.traceparent, "x-forwarded-for": request.source}
    trace = request.traceparent.split("-")[1] if request.traceparent.count("-") == 3 else ""
    added["x-amzn-trace-id"] = f"Root=1-{trace[:8]}-{trace[8:]}"
    return added | _lower(request.headers)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _query(changed: Any, otherwise: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    """Query parameters, each a list of texts; a plugin may send one text."""
    if not isinstance(changed, dict):
        return otherwise
    return {str(name): value if isinstance(value, list) else [str(value)] for name, value in changed.items()}


def _service(path: str) -> str:
    return path.strip("/").partition("/")[0]


def _failed(message: str) -> BiotError:
    return BiotError(500, "INTERNAL_SERVER_ERROR", message)


def status_name(status: int) -> str:
    """`200 OK`, `404 NOT_FOUND`: a status as BioT's events write it."""
    return f"{status} {http.HTTPStatus(status).name}"


def _status(changed: Json, otherwise: int) -> int:
    number = str(changed.get("httpStatusCode", otherwise)).split(" ")[0]
    return int(number) if number.isdecimal() and 200 <= int(number) <= 599 else otherwise


def _entities(body: Any) -> list[Json]:
    """The entities of an answer: a search's `data`, or the one entity that the body is."""
    if not isinstance(body, dict):
        return []
    return list(body["data"]) if isinstance(body.get("data"), list) else [body]


def _with_entities(body: Any, entities: Any) -> Any:
    if not isinstance(body, dict) or not isinstance(entities, list):
        return body
    if isinstance(body.get("data"), list):
        return body | {"data": entities}
    return entities[0] if entities else body
