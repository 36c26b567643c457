"""Reads one value of the file: a word, a duration, a name, a match. What is wrong is reported, None returned."""

from __future__ import annotations

import re
from collections.abc import Mapping as Mappings
from enum import Enum
from functools import cache
from typing import Final, TypeVar

from biot_sidecar.durations import parse_duration
from biot_sidecar.routing.file.diagnostics import Diagnostics, quoted
from biot_sidecar.routing.file.keys import SECTIONS
from biot_sidecar.routing.file.tree import Broken, Mapping, Node, Scalar, Sequence
from biot_sidecar.routing.pattern import BadPattern, Pattern, parse_pattern
from biot_sidecar.routing.route import Interception
from biot_sidecar.suggest import suggest

Word = TypeVar("Word", bound=Enum)

UNMATCHED: Final = "unmatched"
LONGEST_NAME: Final = 100
_SLIP: Final = 0.85  # likeness of a slip of the finger
# YAML 1.1 reads these as booleans, and tools that went through it write them so: `on` may come here as `true`.
TRUTH: Final = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_ONE_METHOD: Final = re.compile("[A-Z][A-Z0-9_-]*")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def mapping(node: Node, report: Diagnostics, section: str, what: str) -> dict[str, tuple[Scalar, Node]]:
    """The known keys of a mapping and their values; unknown ones are reported."""
    if not isinstance(node, Mapping):
        if not isinstance(node, Broken) and not can_have_keys(node):
            report.error(node, f"{what}; this is {kind(node)}")
        return {}
    known = SECTIONS[section]
    found = {key.text: (key, value) for key, value in node.entries if key.text in known}
    if len(found) < len(node.entries):
        for key, _ in node.entries:
            if key.text not in known:
                report.error(key, f"unknown key {quoted(key.text)}; {_meant(key.text, section)}")
    return found


def can_have_keys(node: Node) -> bool:
    """True for a mapping, and for nothing at all, which is an empty one."""
    return isinstance(node, Mapping) or (isinstance(node, Scalar) and node.nothing)


def _meant(key: str, section: str) -> str:
    homes = [name for name, known in SECTIONS.items() if key in known]
    near = suggest(key.lower(), SECTIONS[section], _SLIP if homes else 0.6)
    if near is not None:
        return f"did you mean {near}?"
    if homes:
        return f"it belongs in {' or '.join(homes)}"
    return f"{section} can have {', '.join(SECTIONS[section])}"


def sequence(node: Node, report: Diagnostics, what: str) -> tuple[Node, ...]:
    """The items of a list; nothing at all is an empty one."""
    if isinstance(node, Sequence):
        return node.items
    if not isinstance(node, Broken) and not (isinstance(node, Scalar) and node.nothing):
        report.error(node, f"{what}; this is {kind(node)}")
    return ()


def kind(node: Node) -> str:
    """What stands there, for a message."""
    if isinstance(node, Scalar):
        return "nothing" if node.nothing else f"the text {quoted(node.text)}"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def text(node: Node, report: Diagnostics, what: str) -> str | None:
    """A text with something in it; `what` says what was wanted, such as `name is a text`."""
    if isinstance(node, Scalar) and (written := node.text.strip()) and not node.nothing:
        return written
    if not isinstance(node, Broken):
        report.error(node, f"{what}; this is {kind(node)}")
    return None


def truth(node: Node) -> bool | None:
    """What YAML 1.1 reads as a boolean, else None."""
    return TRUTH.get(node.text.lower()) if isinstance(node, Scalar) and node.plain else None


def word(node: Node, report: Diagnostics, key: str, words: type[Word]) -> Word | None:
    """One of the words of an enum."""
    known: dict[str, Word] = _words(words)
    if words is Interception:
        switch = truth(node)
        if switch is not None:
            return known["on" if switch else "off"]
    written = text(node, report, f"{key} is one of {', '.join(known)}")
    if written is None or written in known:
        return None if written is None else known[written]
    near = _likely(written, node, known)
    hint = f"; did you mean {near}?" if near else ""
    report.error(node, f"{key}: {quoted(written)} is none of {', '.join(known)}{hint}")
    return None


@cache
def _words(words: type[Word]) -> dict[str, Word]:
    return {str(one.value): one for one in words}


def _likely(written: str, node: Node, known: Mappings[str, object]) -> str | None:
    if truth(node) is False and "none" in known:
        return "none"
    return suggest(written.lower(), known)


def duration(node: Node, report: Diagnostics) -> float | None:
    """A timeout in seconds, more than none."""
    written = text(node, report, "timeout is a duration, such as 30s")
    if written is None:
        return None
    try:
        seconds = parse_duration(written)
    except ValueError as error:
        report.error(node, f"timeout: {_unit(written) or error}")
        return None
    if re.match("0[0-9]", written):
        report.error(node, f"timeout: {quoted(written)} begins with a zero; write {written.lstrip('0')}")
        return None
    if seconds == 0:
        report.error(node, "timeout: 0 would end every call at once; leave it out for the default")
        return None
    return seconds


def _unit(written: str) -> str:
    """What to write for a number without a unit, or minutes and seconds as a clock has them."""
    clock = re.fullmatch(r"([0-9]+):([0-5][0-9])", written)
    if clock is not None:
        return f"{quoted(written)} is no duration; write {int(clock[1])}m{int(clock[2])}s"
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        return ""
    number = written.lstrip("0")
    number = f"0{number}" if not number or number.startswith(".") else number
    return f"{quoted(written)} has no unit; write {number}s or {number}ms"


def name(node: Node, report: Diagnostics) -> str | None:
    """A route's name."""
    written = text(node, report, "name is a text")
    if written is None:
        return None
    if not written.isprintable():
        report.error(node, f"name: {quoted(written)} holds a character that does not show; remove it")
    elif len(written) > LONGEST_NAME:
        report.error(node, f"name: {quoted(written)} is longer than {LONGEST_NAME} characters")
    elif written == UNMATCHED:
        report.error(node, "name: unmatched stands for calls that no route matches; choose another name")
    else:
        return written
    return None


_REASONS: Final = {
    "deny": ("write what the caller should read, or leave deny out to allow the call", "the caller reads"),
    "observe": ("write what the log should say, or leave observe out to let the route decide", "the log shows"),
}


def reason(key: str, node: Node, report: Diagnostics) -> str | None:
    """The reason that a `deny` refuses with, or that an `observe` is logged with."""
    asked, said = _REASONS[key]
    if truth(node) is not None:
        report.error(node, f"{key}: {quoted(node.text if isinstance(node, Scalar) else '')} is no reason; {asked}")
        return None
    written = text(node, report, f"{key} is the reason that {said}")
    if written is not None and _CONTROL.search(written):
        report.error(node, f"{key}: {quoted(written)} holds a line end or control character; write one line")
        return None
    return written


def matches(node: Node, report: Diagnostics) -> list[tuple[Pattern, Scalar]]:
    """The patterns of a `match:`, which is one or a list of them."""
    nodes = node.items if isinstance(node, Sequence) else (node,)
    if not nodes:
        report.error(node, "match: the list is empty; write at least one METHOD /path")
    found = [(_pattern(one, report), one) for one in nodes]
    return [(pattern, one) for pattern, one in found if pattern is not None and isinstance(one, Scalar)]


def _pattern(node: Node, report: Diagnostics) -> Pattern | None:
    written = text(node, report, "match is METHOD /path or a list of those, such as GET /ums/v2/users/{id}")
    if written is None:
        return None
    try:
        return parse_pattern(written)
    except BadPattern as error:
        report.error(node, f"match: {error}")
        return None


def request(node: Node, report: Diagnostics) -> tuple[str, str] | None:
    """A test's method and path."""
    written = text(node, report, "request is METHOD /path, such as GET /ums/v2/users/1")
    if written is None:
        return None
    method, _, path = written.partition(" ")
    path = path.strip()
    if not path.startswith("/") or " " in path:
        report.error(node, f"request: {quoted(written)} is no request; write METHOD /path, such as GET /ums/v2/users/1")
    elif not _ONE_METHOD.fullmatch(method):
        report.error(node, f"request: {quoted(method)} is no method; write one in capitals, such as GET")
    elif re.search("[{*]", path.partition("?")[0]):
        report.error(
            node, f"request: {quoted(path)} is a pattern; write a path as a call has it, such as /ums/v2/users/1"
        )
    else:
        return method, path
    return None


def known_name(node: Node, names: set[str], report: Diagnostics) -> str | None:
    """The name of a route that there is, or unmatched."""
    written = text(node, report, "route is the name of a route, or unmatched")
    if written is None or written in names or written == UNMATCHED:
        return written
    near = suggest(written, [*names, UNMATCHED], pace=report.pace)
    hint = f"; did you mean {near}?" if near else ""
    report.error(node, f"route: there is no route {quoted(written)}{hint}")
    return None


def expected_reason(key: str, node: Node, report: Diagnostics) -> str | bool | None:
    """What a test wants of deny or observe, if not true or false; null is false."""
    if isinstance(node, Scalar) and node.nothing:
        return False
    return text(node, report, f"{key} is true, false or the reason")
