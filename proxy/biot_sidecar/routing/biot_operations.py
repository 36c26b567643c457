"""BioT's known operations, to name requests by and to check routes against.

biot_operations.tsv beside this module lists them, one a line: those of BioT 2.4.2 and the newest that older versions
published. Permission `public` needs no token, `-` is unknown. `interceptable` is `yes` for an operation of BioT's
published list of those (2.2.8, the last one), `no` in a service that the list leaves out, `?` where it is silent.
"""

from __future__ import annotations

from functools import cache

from biot_sidecar import routing
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.pattern_tree import PatternTree
from biot_sidecar.routing.route import Operation

_INTERCEPTABLE = {"yes": True, "no": False, "?": None}


def _operation(line: str) -> Operation:
    method, path, permission, interceptable = line.split("\t")
    return Operation(
        method=method,
        path=path,
        service=path.split("/")[1],
        public=permission == "public",
        permission="" if permission in {"public", "-"} else permission,
        interceptable=_INTERCEPTABLE[interceptable],
        names_token="{token}" in path,
    )


@cache
def operations() -> tuple[Operation, ...]:
    """Every known operation; of two that fit a request the one with the earlier literal segment comes first."""
    # By the package's path: importlib.resources would add milliseconds to a start.
    with open(f"{routing.__path__[0]}/biot_operations.tsv", encoding="utf-8") as file:
        known = map(_operation, file.read().splitlines()[1:])
    return tuple(sorted(known, key=lambda one: [segment.startswith("{") for segment in one.path.split("/")]))


@cache
def operation_tree() -> PatternTree:
    """Finds an operation's number; the methods have no HEAD, which is GET without the body."""
    return PatternTree(enumerate(patterns()))


@cache
def patterns() -> tuple[Pattern, ...]:
    """Each known operation as a pattern."""
    return tuple(map(pattern_of, operations()))


def pattern_of(operation: Operation) -> Pattern:
    """The operation as a route's pattern would name it. (To parse them all would add 6 % to a start.)"""
    path = operation.path
    segments = tuple([None if segment[0] == "{" else segment.encode() for segment in path[1:].split("/")])
    return Pattern(f"{operation.method} {path}", frozenset({operation.method}), segments)


def find_operation(method: str, segments: tuple[bytes, ...]) -> Operation | None:
    """The operation that a request is, by its decoded path segments; HEAD is GET without the body."""
    index = operation_tree().find("GET" if method == "HEAD" else method, segments)
    return None if index is None else operations()[index]


@cache
def services() -> frozenset[bytes]:
    """The first path segments that BioT's services have."""
    return frozenset(one.service.encode() for one in operations())
