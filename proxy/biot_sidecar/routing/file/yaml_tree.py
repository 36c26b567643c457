"""Bytes -> a tree of YAML nodes that know their positions; scalars stay the text that was written.

The tree is built from the parser's events, so nothing is resolved, constructed or expanded: `on` is a word, `010` a
text, an alias an error.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any, Final

import yaml

from biot_sidecar.pacing import Pace
from biot_sidecar.routing.file.diagnostics import Diagnostics, quoted
from biot_sidecar.routing.file.tree import Broken, Mapping, Node, Scalar, Sequence
from biot_sidecar.routing.file.yaml_errors import TOO_DEEP, position_of, syntax_diagnostic

DEEPEST: Final = 12
_SEARCHED: Final = 16 * 1024
"""Characters that are searched at once."""
# libyaml is ten times faster than the parser in Python; wheels have it, some distributions' builds do not.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Looked up for every node of the file.
_SCALAR: Final = yaml.ScalarEvent
_SEQUENCE_END: Final = yaml.SequenceEndEvent
_MAPPING_END: Final = yaml.MappingEndEvent
# What YAML calls not printable, and line ends that editors do not count. Named one by one: compiling the much longer
# list of what is welcome costs 6 ms at every start.
_UNWELCOME: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


class _Stop(Exception):
    """Nothing sensible can follow."""


def read_document(data: bytes, report: Diagnostics) -> Node | None:
    """The file's one document; None when there is none or nothing can be made of it, which is reported then."""
    text = _decoded(data, report)
    if text is None:
        return None
    lines = _lines_of(text)
    report.pace()
    try:
        return _Builder(iter(_LOADER(text).get_event, None), lines, report).document()
    except _Stop:
        return None
    except yaml.YAMLError as error:
        line, column, message = syntax_diagnostic(error, lines)
        if not report.has_error_at(line, column):  # an alias is followed by the complaint that nothing may follow it
            report.error_at(line, column, message)
        return None


def _decoded(data: bytes, report: Diagnostics) -> str | None:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        report.error_at(1, 1, "this is UTF-16; save the file as UTF-8")
        return None
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode())
        report.error_at(line, column, f"byte 0x{data[error.start]:02X} is not UTF-8; save the file as UTF-8")
        return None
    unwelcome = _first_unwelcome(text, report.pace)
    if unwelcome is None:
        return text
    name = "a NUL character" if unwelcome[0] == "\0" else f"the control character U+{ord(unwelcome[0]):04X}"
    report.error_at(*_position(text[: unwelcome.start()]), f"{name} does not belong in a text file; remove it")
    return None


def _first_unwelcome(text: str, pace: Pace) -> re.Match[str] | None:
    for start in range(0, len(text), _SEARCHED):
        pace()
        if (found := _UNWELCOME.search(text, start, start + _SEARCHED)) is not None:
            return found
    return None


def _lines_of(text: str) -> list[str]:
    """Not by a regular expression, which takes ten times as long at one go."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _position(before: str) -> tuple[int, int]:
    lines = _lines_of(before)
    return len(lines), len(lines[-1]) + 1


class _Builder:
    def __init__(self, events: Iterator[Any], lines: list[str], report: Diagnostics) -> None:
        self._events = events
        self._lines = lines
        self._report = report

    def document(self) -> Node | None:
        """The first document; a second one is reported."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._report.error(
                        self._position(event), "a second document begins here; a routes file is one document"
                    )
                    return root
                root = self._node(next(self._events), 0)
        if root is None:
            self._report.error_at(1, 1, "the file is empty; write at least version: 1")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        self._report.pace()
        line, column = position_of(event.start_mark, self._lines)
        kind = type(event)
        if kind is _SCALAR and event.anchor is None and event.tag is None and depth <= DEEPEST:  # three of four
            return Scalar(line, column, event.value, not event.style)
        if depth > DEEPEST:
            self._report.error(Node(line, column), TOO_DEEP)
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            anchor = self._report.excerpt(str(event.anchor))
            self._report.error(
                Node(line, column),
                f'*{anchor} is an alias to YAML; write it out, or put quotes around a match: "* /file/**"',
            )
            return Broken(line, column)
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event, Node(line, column))
        if kind is _SCALAR:
            return Scalar(line, column, event.value, not event.style)
        if kind is yaml.SequenceStartEvent:
            return Sequence(line, column, tuple(self._items(depth)))
        return Mapping(line, column, tuple(self._entries(depth)))

    def _refuse_decoration(self, event: Any, position: Node) -> None:
        if event.anchor is not None:
            anchor = self._report.excerpt(event.anchor)
            self._report.error(position, f"the anchor &{anchor} has no use here; write values out where they apply")
        if event.tag is not None:
            tag = self._report.excerpt(quoted(event.tag))
            self._report.error(position, f"the tag {tag} has no meaning here; leave it out")

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if type(event) is _SEQUENCE_END:
                return
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, int] = {}
        for event in self._events:
            if type(event) is _MAPPING_END:
                return
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._report.error(key, "a key is one word here; a text that begins with { or [ needs quotes")
            elif key.text == "<<" and key.plain:
                self._report.error(key, "merge keys (<<) have no meaning here; write values out where they apply")
            elif key.text in seen:
                text = self._report.excerpt(quoted(key.text))
                self._report.error(key, f"{text} is here twice; it is in line {seen[key.text]} already")
            else:
                seen[key.text] = key.line
                yield key, value

    def _position(self, event: Any) -> Node:
        return Node(*position_of(event.start_mark, self._lines))
