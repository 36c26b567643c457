"""YAML's complaints in plain words, with what to write instead."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

# A value, or an item of a list, that begins with a star: `match: * /file/**`.
_STAR: Final = re.compile(r"(?:[:\-,\[]\s+|\[)(\*)")


def syntax_problem(error: yaml.YAMLError, lines: list[str]) -> tuple[int, int, str]:
    """Line, column (both from 1) and message; `lines` are the file's, without their ends."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 1, 1, "this is no YAML"
    mark: Any = error.problem_mark
    place = (mark.line + 1, mark.column + 1)
    line = lines[mark.line] if mark.line < len(lines) else ""
    character = line[mark.column : mark.column + 1]
    context = str(error.context or "")
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return mark.line + 1, line.index("\t") + 1, "a tab; YAML wants spaces for indentation"
    star = _STAR.search(line[: mark.column + 1])
    if star is not None:
        return mark.line + 1, star.start(1) + 1, 'YAML takes * for an alias; put quotes around it: "* /file/**"'
    if "flow" in context and character and character in "{}[]":
        return *place, 'within { } and [ ] a text with braces needs quotes: "GET /ums/v2/users/{id}"'
    start: Any = error.context_mark
    if start is not None and ("flow" in context or "end of stream" in str(error.problem)):
        return start.line + 1, start.column + 1, f"this {lines[start.line][start.column]} is never closed"
    return *place, _in_words(character, str(error.problem))


def _in_words(character: str, problem: str) -> str:
    if "mapping values" in problem:
        return "a colon does not fit here: put quotes around a text that holds one, or look at the indentation"
    if character and character in "@`%" and "cannot start" in problem:
        return f"a text cannot begin with {character}; put quotes around it"
    if "expected key" in problem or "'-' indicator" in problem or "block end" in problem or "document start" in problem:
        return "this does not fit the lines above; look at the indentation"
    return f"YAML cannot read this: {problem}"
