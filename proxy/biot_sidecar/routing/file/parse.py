"""The tree of a routes file -> routes and tests, as far as they can be read."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec

from biot_sidecar.routing.file import values as values
from biot_sidecar.routing.file.diagnostics import Diagnostics, quoted
from biot_sidecar.routing.file.tree import Mapping, Node, Scalar
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
    """A route and where its parts stand; `explicit_keys` are the keys that it says itself."""

    route: Route
    position: Node
    matches: tuple[tuple[Pattern, Scalar], ...]
    explicit_keys: dict[str, tuple[Scalar, Node]]


class InlineTest(msgspec.Struct, frozen=True, eq=False):
    """One of the file's own tests: a request, and what must come out where."""

    method: str
    path: str
    position: Node
    expected: dict[str, tuple[Any, Node]]


class Sections(msgspec.Struct, frozen=True):
    """What the file says, as far as it could be read. `rules_whole`: nothing is wrong with all that is not a test."""

    unmatched: Route
    policy: Unmatched
    routes: tuple[ParsedRoute, ...]
    tests: tuple[InlineTest, ...]
    routes_valid: bool


def read_sections(root: Node, report: Diagnostics) -> Sections:
    """Everything readable in the file; what is not is reported."""
    entries = values.mapping(root, report, "the file's top", "a routes file is a mapping that begins with version: 1")
    _version(root, entries, report)
    unmatched, policy = _defaults(entries, report)
    lines: dict[str, int] = {}
    routes = _routes(entries, unmatched, lines, report)
    whole = not report.any_error
    return Sections(unmatched, policy, routes, _tests(entries, set(lines), report), whole)


def _version(root: Node, entries: Entries, report: Diagnostics) -> None:
    if "version" not in entries:
        if values.can_have_keys(root):
            report.error(root, "version is missing; write version: 1")
        return
    node = entries["version"][1]
    written = values.text(node, report, "version is the number 1")
    if written is not None and written != VERSION:
        report.error(node, f"version {quoted(written)} is unknown; write version: 1")


def _defaults(entries: Entries, report: Diagnostics) -> tuple[Route, Unmatched]:
    plain = Route(name=values.UNMATCHED, source=f"{report.file}:1")
    if "defaults" not in entries:
        return plain, Unmatched.ALLOW
    key, node = entries["defaults"]
    keys = values.mapping(node, report, "defaults", "defaults is a mapping, such as timeout: 60s")
    unmatched = plain.but(source=f"{report.file}:{key.line}", **_settings(keys, report))
    if "unmatched" not in keys:
        return unmatched, Unmatched.ALLOW
    return unmatched, values.word(keys["unmatched"][1], report, "unmatched", Unmatched) or Unmatched.ALLOW


def _settings(keys: Entries, report: Diagnostics) -> dict[str, Any]:
    """What stands in `keys` of a route's fields, and is right."""
    read: dict[str, Any] = {}
    for key, (_, node) in keys.items():
        if key in _WORDS or key == "timeout":
            value = setting(key, node, report)
            if value is not None:
                read[key] = value
    return read


def setting(key: str, node: Node, report: Diagnostics) -> Any:
    """One value that defaults, routes and expectations share; None if it is wrong."""
    return values.duration(node, report) if key == "timeout" else values.word(node, report, key, _WORDS[key])


def _routes(entries: Entries, unmatched: Route, lines: dict[str, int], report: Diagnostics) -> tuple[ParsedRoute, ...]:
    """The routes that could be read; `lines` gets the line of every name."""
    if "routes" not in entries:
        return ()
    nodes = values.sequence(entries["routes"][1], report, "routes is a list, each route beginning with - name:")
    return tuple(route for node in nodes if (route := _route(node, unmatched, lines, report)) is not None)


def _route(node: Node, unmatched: Route, lines: dict[str, int], report: Diagnostics) -> ParsedRoute | None:
    """The route, or None if it has no name or no match that could be read."""
    report.pace()
    keys = values.mapping(node, report, "a route", "a route is a mapping with name and match")
    _insist(node, keys, _NEEDED_BY_ROUTE, "this route", report)
    name = _unique_name(keys, lines, report)
    found = values.matches(keys["match"][1], report) if "match" in keys else []
    settings = _settings(keys, report)
    deny = values.reason("deny", keys["deny"][1], report) if "deny" in keys else None
    observe = values.reason("observe", keys["observe"][1], report) if "observe" in keys else None
    if "deny" in keys and "observe" in keys:
        report.error(keys["observe"][0], "observe stands in place of deny, never beside it; keep one of them")
    if name is None or not found:
        return None
    source, patterns = f"{report.file}:{node.line}", tuple([one.text for one, _ in found])
    route = Route(name, source, patterns, *_decided(unmatched, settings), deny, observe)
    return ParsedRoute(route, node, tuple(found), keys)


def _decided(unmatched: Route, settings: dict[str, Any]) -> tuple[Interception, Authorization, float, Retry]:
    """A route's own settings, and where it has none those of `unmatched`, in the order of Route's fields."""
    if not settings:
        return unmatched.interception, unmatched.authorization, unmatched.timeout, unmatched.retry
    own = settings.get
    return (
        own("interception", unmatched.interception),
        own("authorization", unmatched.authorization),
        own("timeout", unmatched.timeout),
        own("retry", unmatched.retry),
    )


def _insist(node: Node, keys: Entries, needed: dict[str, str], where: str, report: Diagnostics) -> None:
    """Report the keys that are missing; `needed` has an example of each."""
    for key, example in needed.items():
        if key not in keys and values.can_have_keys(node):
            report.error(node, f"{key} is missing from {where}; write {example}")


def _unique_name(keys: Entries, lines: dict[str, int], report: Diagnostics) -> str | None:
    if "name" not in keys:
        return None
    node = keys["name"][1]
    name = values.name(node, report)
    if name in lines:
        report.error(node, f"the name {quoted(name)} is taken by the route in line {lines[name]}; choose another")
    elif name is not None:
        lines[name] = node.line
    return name


def _tests(entries: Entries, names: set[str], report: Diagnostics) -> tuple[InlineTest, ...]:
    if "tests" not in entries:
        return ()
    nodes = values.sequence(entries["tests"][1], report, "tests is a list, each test beginning with - request:")
    return tuple(test for node in nodes if (test := _test(node, names, report)) is not None)


def _test(node: Node, names: set[str], report: Diagnostics) -> InlineTest | None:
    report.pace()
    keys = values.mapping(node, report, "a test", "a test is a mapping with request and expect")
    _insist(node, keys, _NEEDED_BY_TEST, "this test", report)
    request = values.request(keys["request"][1], report) if "request" in keys else None
    if "expect" not in keys:
        return None
    expected = _expected(keys["expect"][1], names, report)
    return None if request is None else InlineTest(*request, keys["request"][1], expected)


def _expected(node: Node, names: set[str], report: Diagnostics) -> dict[str, tuple[Any, Node]]:
    keys = values.mapping(node, report, "expect", "expect is a mapping, such as interception: on")
    if (isinstance(node, Mapping) and not node.entries) or (isinstance(node, Scalar) and node.nothing):
        report.error(node, "expect is empty; name what must come out, such as interception: on")
    read = {key: (_expectation(key, value, names, report), value) for key, (_, value) in keys.items()}
    return {key: (value, position) for key, (value, position) in read.items() if value is not None}


def _expectation(key: str, node: Node, names: set[str], report: Diagnostics) -> Any:
    if key == "route":
        return values.known_name(node, names, report)
    if key in {"deny", "observe"}:
        said = values.truth(node)
        return said if said is not None else values.expected_reason(key, node, report)
    return setting(key, node, report)
