"""The table of BioT operations the simulator serves, and how a request's path finds its operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from biot_sidecar.simulator.values import Answer, Call

Handler = Callable[[Call], Answer]

SERVICES = {
    "access-control": "Access Control Service",
    "api-gateway": "Facade Service",
    "device": "Device Service",
    "dispatcher": "Dispatcher Service",
    "dms": "Data Management Service",
    "entity": "Entity Service",
    "file": "File Service",
    "generic-entity": "Generic Entity Service",
    "measurement": "Measurement Service",
    "notification": "Notification Service",
    "organization": "Organization Service",
    "settings": "Settings Service",
    "ums": "UMS Service",
}
"""BioT's services by path prefix, with the name each gives in its errors."""


@dataclass(frozen=True)
class Operation:
    """One operation: method and path template as BioT writes them, and the entity type it is about.

    `interceptable`, `public` and `permission` (what a token's scopes must hold) are BioT's catalogue's: `catalogue`
    fills them in. Of an operation that is not `simulated` only this much is known. The body of a `checked` one has met
    the table of facts before its handler gets it.
    """

    method: str
    path: str
    handler: Handler
    entity: str = ""
    interceptable: bool = False
    public: bool = False
    permission: str = ""
    simulated: bool = True
    checked: bool = True

    @property
    def api_id(self) -> str:
        """BioT's name of the operation in interceptor subscriptions."""
        return self.method + self.path


@dataclass(frozen=True)
class Found:
    """The operation and its path variables, percent-decoded; without one, `allowed` are the path's other methods."""

    operation: Operation | None = None
    variables: tuple[tuple[str, str], ...] = ()
    allowed: tuple[str, ...] = ()


class Router:
    """Finds operations by path; a template's literal segment beats a variable one."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = tuple(operations)
        self._templates: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
        pairs = [(_segments(operation.path), operation) for operation in self.operations]
        for template, operation in sorted(pairs, key=lambda pair: [_is_variable(segment) for segment in pair[0]]):
            self._templates.setdefault((template[0], len(template)), []).append((template, operation))

    def find(self, method: str, path: str) -> Found:
        """`path` is raw, without the query. Segments are compared percent-decoded; a final slash does not matter.

        HEAD finds what GET would.
        """
        method = "GET" if method == "HEAD" else method
        segments = [unquote(segment) for segment in _segments(path)]
        allowed = []
        for template, operation in self._templates.get((segments[0] if segments else "", len(segments)), ()):
            if not _fits(template, segments):
                continue
            if operation.method == method:
                pairs = zip(template, segments, strict=True)
                variables = tuple((name[1:-1], value) for name, value in pairs if _is_variable(name))
                return Found(operation, variables)
            allowed.append(operation.method)
        return Found(allowed=tuple(allowed))


def service_of(path: str) -> str:
    """The service that a path belongs to, or an empty text."""
    first = next(iter(_segments(path)), "")
    return first if first in SERVICES else ""


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _is_variable(segment: str) -> bool:
    return segment.startswith("{")


def _fits(template: list[str], segments: list[str]) -> bool:
    return all(_is_variable(name) or name == value for name, value in zip(template, segments, strict=True))
