"""The tree of a routes file -> routes and tests, as far as they can be read."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any, Final

import msgspec

from biot_sidecar.routing.file import values as fields
from biot_sidecar.routing.file.diagnostics import Problems, quoted
from biot_sidecar.routing.file.yaml_tree import Mapping, Node, Scalar
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Authorization, Interception, Retry, Route

VERSION: Final = "1"
_WORDS: Final[dict[str, type[Enum]]] = {"interception": Interception, "authorization": Authorization, "retry": Retry}
_NEEDED_BY_ROUTE: Final = {"name": "name: what it is for", "match": "match: GET /ums/v2/users/{id}"}
_NEEDED_BY_TEST: Final = {"request": "request: GET /ums/v2/users/1", "expect": "expect: {interception: off}"}
Entries = dict[str, tuple[Scalar, Node]]


class Unmatched(Enum):
    """What becomes of calls that no route matches."""

    ALLOW = "allow"
    DENY = "deny"
    OBSERVE = "observe"


class ParsedRoute(msgspec.Struct, frozen=True, eq=False):
    """A route and where its parts stand; `own` are the keys that it says itself."""

    route: Route
    place: Node
    matches: tuple[tuple[Pattern, Scalar], ...]
    own: dict[str, tuple[Scalar, Node]]


class Case(msgspec.Struct, frozen=True, eq=False):
    """One of the file's own tests: a request, and what must come out where."""

    method: str
    path: str
    place: Node
    expected: dict[str, tuple[Any, Node]]


class Sections(msgspec.Struct, frozen=True):
    """What the file says, as far as it could be read. `rules_whole`: nothing is wrong with all that is not a test."""

    unmatched: Route
    policy: Unmatched
    routes: tuple[ParsedRoute, ...]
    tests: tuple[Case, ...]
    routes_valid: bool


def read_sections(root: Node, problems: Problems) -> Sections:
    """Everything readable in the file; what is not is reported."""
    entries = fields.mapping(root, problems, "the file's top", "a routes file is a mapping that begins with version: 1")
    _version(root, entries, problems)
    unmatched, policy = _defaults(entries, problems)
    lines: dict[str, int] = {}
    routes = _routes(entries, unmatched, lines, problems)
    whole = not problems.any_error
    return Sections(unmatched, policy, routes, _tests(entries, set(lines), problems), whole)


def _version(root: Node, entries: Entries, problems: Problems) -> None:
    if "version" not in entries:
        if fields.can_have_keys(root):
            problems.error(root, "version is missing; write version: 1")
        return
    node = entries["version"][1]
    written = fields.text(node, problems, "version is the number 1")
    if written is not None and written != VERSION:
        problems.error(node, f"version {quoted(written)} is unknown; write version: 1")


def _defaults(entries: Entries, problems: Problems) -> tuple[Route, Unmatched]:
    plain = Route(name=fields.UNMATCHED, source=f"{problems.file}:1")
    if "defaults" not in entries:
        return plain, Unmatched.ALLOW
    key, node = entries["defaults"]
    own = fields.mapping(node, problems, "defaults", "defaults is a mapping, such as timeout: 60s")
    unmatched = _settings(own, dataclasses.replace(plain, source=f"{problems.file}:{key.line}"), problems)
    if "unmatched" not in own:
        return unmatched, Unmatched.ALLOW
    return unmatched, fields.word(own["unmatched"][1], problems, "unmatched", Unmatched) or Unmatched.ALLOW


def _settings(own: Entries, fallback: Route, problems: Problems) -> Route:
    """`fallback` with the settings that stand in `own`."""
    read = {key: setting(key, own[key][1], problems) for key in own if key in _WORDS or key == "timeout"}
    return dataclasses.replace(fallback, **{key: value for key, value in read.items() if value is not None})


def setting(key: str, node: Node, problems: Problems) -> Any:
    """One value that defaults, routes and expectations share; None if it is wrong."""
    return fields.duration(node, problems) if key == "timeout" else fields.word(node, problems, key, _WORDS[key])


def _routes(entries: Entries, unmatched: Route, lines: dict[str, int], problems: Problems) -> tuple[ParsedRoute, ...]:
    """The routes that could be read; `lines` gets the line of every name."""
    if "routes" not in entries:
        return ()
    nodes = fields.sequence(entries["routes"][1], problems, "routes is a list, each route beginning with - name:")
    return tuple(route for node in nodes if (route := _route(node, unmatched, lines, problems)) is not None)


def _route(node: Node, unmatched: Route, lines: dict[str, int], problems: Problems) -> ParsedRoute | None:
    """The route, or None if it has no name or no match that could be read."""
    problems.pace()
    own = fields.mapping(node, problems, "a route", "a route is a mapping with name and match")
    _insist(node, own, _NEEDED_BY_ROUTE, "this route", problems)
    name = _unique_name(own, lines, problems)
    found = fields.matches(own["match"][1], problems) if "match" in own else []
    route = _settings(own, dataclasses.replace(unmatched, source=f"{problems.file}:{node.line}"), problems)
    deny = fields.reason("deny", own["deny"][1], problems) if "deny" in own else None
    observe = fields.reason("observe", own["observe"][1], problems) if "observe" in own else None
    if "deny" in own and "observe" in own:
        problems.error(own["observe"][0], "observe stands in place of deny, never beside it; keep one of them")
    if name is None or not found:
        return None
    route = dataclasses.replace(
        route, name=name, patterns=tuple(one.text for one, _ in found), deny=deny, observe=observe
    )
    return ParsedRoute(route, node, tuple(found), own)


def _insist(node: Node, own: Entries, needed: dict[str, str], where: str, problems: Problems) -> None:
    """Report the keys that are missing; `needed` has an example of each."""
    for key, example in needed.items():
        if key not in own and fields.can_have_keys(node):
            problems.error(node, f"{key} is missing from {where}; write {example}")


def _unique_name(own: Entries, lines: dict[str, int], problems: Problems) -> str | None:
    if "name" not in own:
        return None
    node = own["name"][1]
    name = fields.name(node, problems)
    if name in lines:
        problems.error(node, f"the name {quoted(name)} is taken by the route in line {lines[name]}; choose another")
    elif name is not None:
        lines[name] = node.line
    return name


def _tests(entries: Entries, names: set[str], problems: Problems) -> tuple[Case, ...]:
    if "tests" not in entries:
        return ()
    nodes = fields.sequence(entries["tests"][1], problems, "tests is a list, each test beginning with - request:")
    return tuple(test for node in nodes if (test := _test(node, names, problems)) is not None)


def _test(node: Node, names: set[str], problems: Problems) -> Case | None:
    problems.pace()
    own = fields.mapping(node, problems, "a test", "a test is a mapping with request and expect")
    _insist(node, own, _NEEDED_BY_TEST, "this test", problems)
    request = fields.request(own["request"][1], problems) if "request" in own else None
    if "expect" not in own:
        return None
    expected = _expected(own["expect"][1], names, problems)
    return None if request is None else Case(*request, own["request"][1], expected)


def _expected(node: Node, names: set[str], problems: Problems) -> dict[str, tuple[Any, Node]]:
    own = fields.mapping(node, problems, "expect", "expect is a mapping, such as interception: on")
    if (isinstance(node, Mapping) and not node.entries) or (isinstance(node, Scalar) and node.nothing):
        problems.error(node, "expect is empty; name what must come out, such as interception: on")
    read = {key: (_expectation(key, value, names, problems), value) for key, (_, value) in own.items()}
    return {key: (value, place) for key, (value, place) in read.items() if value is not None}


def _expectation(key: str, node: Node, names: set[str], problems: Problems) -> Any:
    if key == "route":
        return fields.known_name(node, names, problems)
    if key in {"deny", "observe"}:
        said = fields.truth(node)
        return said if said is not None else fields.expected_reason(key, node, problems)
    return setting(key, node, problems)
