"""YAML's complaints in plain words, with what to write instead."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

_TAB: Final = "a tab; YAML wants spaces for indentation"
TOO_DEEP: Final = "this is nested too deep for a routes file"
# A value, or an item of a list, that begins with a star: `match: * /file/**`.
_STAR: Final = re.compile(r"(?:[:\-,\[]\s+|\[)(\*)")


def syntax_problem(error: yaml.YAMLError, lines: list[str]) -> tuple[int, int, str]:
    """Line, column (both from 1) and message; `lines` are the file's, without their ends."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 1, 1, "this is no YAML"
    place = place_of(error.problem_mark, lines)
    line = lines[place[0] - 1]
    character = line[place[1] - 1 : place[1]]
    context = str(error.context or "")
    if "nesting depth" in str(error.problem):
        return *place, TOO_DEEP
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return place[0], line.index("\t") + 1, _TAB
    if character == "\t" and "cannot start" in str(error.problem):
        return *place, _TAB
    star = _STAR.search(line[: place[1]])
    if star is not None:
        return place[0], star.start(1) + 1, 'YAML takes * for an alias; put quotes around it: "* /file/**"'
    if "flow" in context and character and character in "{}[]":
        return *place, 'within { } and [ ] a text with braces needs quotes: "GET /ums/v2/users/{id}"'
    start = place_of(error.context_mark or error.problem_mark, lines)
    opening = lines[start[0] - 1][start[1] - 1 : start[1]]
    if opening and opening in "[{'\"" and ("flow" in context or "end of stream" in str(error.problem)):
        return *start, f"this {opening} is never closed"
    return *place, _in_words(character, str(error.problem))


def place_of(mark: Any, lines: list[str]) -> tuple[int, int]:
    """The mark's place, from 1; the parser may put the end of a file behind its last line."""
    if mark.line >= len(lines):
        return len(lines), len(lines[-1]) + 1
    return mark.line + 1, mark.column + 1


def _in_words(character: str, problem: str) -> str:
    if "mapping values" in problem:
        return "a colon does not fit here: put quotes around a text that holds one, or look at the indentation"
    if character and character in "@`%" and "cannot start" in problem:
        return f"a text cannot begin with {character}; put quotes around it"
    if "expected key" in problem or "'-' indicator" in problem or "block end" in problem or "document start" in problem:
        return "this does not fit the lines above; look at the indentation"
    return f"YAML cannot read this: {problem}"
