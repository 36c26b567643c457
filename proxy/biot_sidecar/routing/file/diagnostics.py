"""What is wrong with a routes file, and where."""

from __future__ import annotations

from typing import Protocol

import msgspec

from biot_sidecar.pacing import Pace, no_pause

_QUOTED_MOST = 60


class Position(Protocol):
    """Whatever stands somewhere in the file; `line` and `column` count from 1."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class Diagnostic(msgspec.Struct, frozen=True, order=True):
    """One problem; `severity` is `error` or `warning`, `column` counts characters from 1."""

    file: str
    line: int
    column: int
    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"


class Diagnostics:
    """Collects the problems of one file. `foreign`: it may be anything, such as a secret, so none of it is quoted.

    `pace` is to be called between the steps of the work.
    """

    def __init__(self, file: str, *, foreign: bool = False, pace: Pace = no_pause) -> None:
        self.file = file
        self.pace = pace
        self._foreign = foreign
        self._found: list[Diagnostic] = []
        self.any_error = False

    def error(self, position: Position, message: str) -> None:
        """The file cannot be used."""
        self.error_at(position.line, position.column, message)

    def error_at(self, line: int, column: int, message: str) -> None:
        """As `error`, for a place that is no node."""
        self.any_error = True
        self._found.append(Diagnostic(self.file, line, column, "error", message))

    def warning(self, position: Position, message: str) -> None:
        """The file can be used, but probably does not say what was meant."""
        self._found.append(Diagnostic(self.file, position.line, position.column, "warning", message))

    def excerpt(self, text: str) -> str:
        """A text of the file, as far as messages may show it."""
        return "…" if self._foreign else text

    def has_error_at(self, line: int, column: int) -> bool:
        """True when something was said of this very place."""
        return any((problem.line, problem.column) == (line, column) for problem in self._found)

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All of them, as they stand in the file."""
        return tuple(sorted(self._found))


def quoted(text: str) -> str:
    """A text of the file within a message: one line, not too long, nothing invisible in it."""
    return repr(text if len(text) <= _QUOTED_MOST else text[: _QUOTED_MOST - 1] + "…")


def counted(number: int, noun: str) -> str:
    """1 route, 2 routes."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
