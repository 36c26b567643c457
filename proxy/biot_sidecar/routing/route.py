"""The routes file's routes as frozen values, and the verdict a table gives on one request."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any, Final


class Interception(StrEnum):
    """What happens to `allow-interception`: BioT runs its interceptors when the header is merely there.

    Strings, as metrics show them: an Enum's own hash is a call of Python, 0.2 us for every request.
    """

    OFF = "off"
    ON = "on"
    CLIENT = "client"


class Authorization(Enum):
    """Whose token goes to BioT: the service user's, the plugin's own if it sent one, or none."""

    REPLACE = "replace"
    KEEP = "keep"
    NONE = "none"


class Retry(Enum):
    """Whether failed tries of idempotent methods are repeated."""

    NONE = "none"
    IDEMPOTENT = "idempotent"


_ROUTE_FIELDS: Final = (
    *("name", "source", "patterns", "interception", "authorization"),
    *("timeout", "retry", "deny", "observe"),
)


class Route:
    """One route with the file's defaults filled in. The route named `unmatched` stands for the defaults themselves.

    `timeout` is in seconds; `deny` is the reason to refuse with, or None; `observe` is the reason that a route which
    only counts would refuse with; `source` is FILE:LINE; `patterns` are the `match:` texts as written.
    """

    def __init__(
        self,
        name: str,
        source: str,
        patterns: tuple[str, ...] = (),
        interception: Interception = Interception.OFF,
        authorization: Authorization = Authorization.REPLACE,
        timeout: float = 60.0,
        retry: Retry = Retry.IDEMPOTENT,
        deny: str | None = None,
        observe: str | None = None,
    ) -> None:
        self.name: Final = name
        self.source: Final = source
        self.patterns: Final = patterns
        self.interception: Final = interception
        self.authorization: Final = authorization
        self.timeout: Final = timeout
        self.retry: Final = retry
        self.deny: Final = deny
        self.observe: Final = observe

    def but(self, **changes: Any) -> Route:
        """The same route with these changes."""
        fields = {name: getattr(self, name) for name in _ROUTE_FIELDS}
        return Route(**(fields | changes))


class Operation:
    """A known BioT operation. `interceptable` is None where BioT's published list says nothing; `names_token`: a token
    stands in its path.
    """

    def __init__(
        self,
        method: str,
        path: str,
        service: str,
        public: bool,
        permission: str,
        interceptable: bool | None,
        names_token: bool = False,
    ) -> None:
        self.method: Final = method
        self.path: Final = path
        self.service: Final = service
        self.public: Final = public
        self.permission: Final = permission
        self.interceptable: Final = interceptable
        self.names_token: Final = names_token


class Verdict:
    """What the table says of one request.

    `path_refused` (a 400) and `deny` (a 403) are reasons in plain English, or None. `template` is the path as logs may
    show it: the operation's or the route's pattern, never the path itself. `observed` is the route that would have
    denied the request, had it `deny` where it has `observe`. `names_token`: a token stands in the path.
    """

    def __init__(
        self,
        route: Route,
        template: str,
        operation: Operation | None = None,
        deny: str | None = None,
        path_refused: str | None = None,
        observed: Route | None = None,
    ) -> None:
        self.route: Final = route
        self.template: Final = template
        self.operation: Final = operation
        self.deny: Final = deny
        self.path_refused: Final = path_refused
        self.observed: Final = observed
        self.names_token: Final = operation is not None and operation.names_token
