"""YAML's complaints in plain words, with what to write instead; of the file they quote a known key or a character."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from biot_sidecar.routing.file.keys import SECTIONS

_TAB: Final = "a tab; YAML wants spaces for indentation"
TOO_DEEP: Final = "this is nested too deep for a routes file"
# Patterns are compiled with the first mistake, not at every start.
# A value, or an item of a list, that begins with a star: `match: * /file/**`.
_STAR: Final = r"(?:[:\-,\[]\s+|\[)(\*)"
# Slips that YAML notices a line later, if at all: `timeout:60s`, `-name: a`, `name a`.
_NO_SPACE: Final = r"\s*(?:- +)?([a-z]+):(?=[^\s/:])"
_NO_SPACE_AFTER_DASH: Final = r"\s*(-)(?=[a-z]+:)"
_KEYS: Final = tuple({key: None for keys in SECTIONS.values() for key in keys})
_NO_COLON: Final = rf"\s*(?:- +)?({'|'.join(_KEYS)})\b(?!:)"


def syntax_diagnostic(error: yaml.YAMLError, lines: list[str]) -> tuple[int, int, str]:
    """Line, column (both from 1) and message; `lines` are the file's, without their ends."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 1, 1, "this is no YAML"
    position = position_of(error.problem_mark, lines)
    start = position_of(error.context_mark or error.problem_mark, lines)
    line = lines[position[0] - 1]
    problem = str(error.problem)
    if "nesting depth" in problem:
        return *position, TOO_DEEP
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return position[0], line.index("\t") + 1, _TAB
    if line[position[1] - 1 : position[1]] == "\t" and "cannot start" in problem:
        return *position, _TAB
    star = re.search(_STAR, line[: position[1]])
    if star is not None:
        return position[0], star.start(1) + 1, 'YAML takes * for an alias; put quotes around it: "* /file/**"'
    if "flow" in str(error.context) or "end of stream" in problem:
        return _in_brackets(position, start, lines)
    if "expected ':'" in problem:
        return _slip(start[0], lines) or (*start, "a colon is missing after this key")
    return _slip(position[0], lines) or (*position, _in_words(line, position[1], problem))


def position_of(mark: Any, lines: list[str]) -> tuple[int, int]:
    """The mark's place, from 1; the parser may put the end of a file behind its last line."""
    if mark.line >= len(lines):
        return len(lines), len(lines[-1]) + 1
    return mark.line + 1, mark.column + 1


def _in_brackets(position: tuple[int, int], start: tuple[int, int], lines: list[str]) -> tuple[int, int, str]:
    """What is wrong within { }, [ ] or quotes that begin at `start`."""
    line = lines[position[0] - 1]
    character = line[position[1] - 1 : position[1]]
    if character and character in "{}[]":
        return *position, 'within { } and [ ] a text with braces needs quotes: "GET /ums/v2/users/{id}"'
    if character == ":" and start[0] == position[0]:
        return *position, "a comma is missing before this key, or quotes around a text that holds a colon"
    opening = lines[start[0] - 1][start[1] - 1 : start[1]]
    if not opening or opening not in "[{'\"":
        unclosed = _last_open(lines)
        if unclosed is None:
            return *position, "this cannot stand within { } or [ ]"
        start = unclosed
        opening = lines[start[0] - 1][start[1] - 1]
    return *start, f"this {opening} is never closed"


def _last_open(lines: list[str]) -> tuple[int, int] | None:
    """The place of the last bracket that none closes; None if each is closed."""
    opened: list[tuple[int, int]] = []
    for number, line in enumerate(lines, 1):
        for column, character in enumerate(line, 1):
            if character in "[{":
                opened.append((number, column))
            elif character in "]}" and opened:
                opened.pop()
    return opened[-1] if opened else None


def _slip(number: int, lines: list[str]) -> tuple[int, int, str] | None:
    """A missing space or colon in that line or in the last one before it that says something."""
    before = next((one for one in range(number - 1, 0, -1) if lines[one - 1].partition("#")[0].strip()), number)
    for candidate in (number, before):
        line = lines[candidate - 1]
        dash, space, colon = (re.match(slip, line) for slip in (_NO_SPACE_AFTER_DASH, _NO_SPACE, _NO_COLON))
        if dash is not None:
            return candidate, dash.start(1) + 1, "a space is missing after the dash"
        if space is not None:
            key = f"{space[1]}:" if space[1] in _KEYS else "this key's colon"
            return candidate, space.start(1) + 1, f"a space is missing after {key}"
        if colon is not None:
            return candidate, colon.start(1) + 1, f"a colon is missing after {colon[1]}"
    return None


def _in_words(line: str, column: int, problem: str) -> str:
    character = line[column - 1 : column]
    if "mapping values" in problem:
        return "a colon does not fit here: put quotes around a text that holds one, or look at the indentation"
    if character and character in "@`%" and "cannot start" in problem:
        return f"a text cannot begin with {character}; put quotes around it"
    before = line[: column - 1].rstrip()[-1:]
    if before and before in "'\"]}" and "expected" in problem:
        return f"nothing can follow the closing {before} in its line"
    if "expected key" in problem or "'-' indicator" in problem or "block end" in problem or "document start" in problem:
        return "this does not fit the lines above; look at the indentation"
    if "tag handle" in problem:  # the parser in Python names it
        return "a tag has no meaning here; leave it out"
    return f"YAML cannot read this: {problem}"
