"""What `biot-sidecar check` has found, as lines for people, as JSON, or as annotations of GitHub's workflows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from biot_sidecar.cli.colors import Palette
from biot_sidecar.routing.file import counted

_PLACED: Final = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<severity>error|warning): ", re.S)
_NAMED: Final = re.compile(r"(?P<name>(?:[A-Z][A-Z0-9_]*|--[a-z-]+)(?:, (?:[A-Z][A-Z0-9_]*|--[a-z-]+))*): ")
_STYLES: Final = {"error": "bad", "warning": "warning"}


class Problem(NamedTuple):
    """`severity` is `error` or `warning`. It is in a file, `line` and `column` counted from 1, or in a `setting`."""

    severity: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    setting: str | None = None

    def line_in(self, palette: Palette) -> str:
        """The problem as a line, its severity in colour."""
        return f"{self.place}: {palette.paint(f'{self.severity}:', _STYLES[self.severity])} {self.message}"

    @property
    def place(self) -> str:
        """Where it stands, as its line begins."""
        return f"{self.file}:{self.line}:{self.column}" if self.file is not None else self.setting or "settings"


class Report:
    """Everything that one check found, in its order; it is right as long as no problem is an error."""

    def __init__(self) -> None:
        self._found: list[Problem | str] = []
        self._facts: dict[str, Any] = {"routes": None}

    def add(self, problem: str, severity: str) -> None:
        """A line as settings and routes files give them: `NAME: reason` or `FILE:LINE:COL: error: reason`."""
        if placed := _PLACED.match(problem):
            place = placed["file"], int(placed["line"]), int(placed["column"])
            self._found.append(Problem(placed["severity"], problem[placed.end() :], *place))
        elif named := _NAMED.match(problem):
            self._found.append(Problem(severity, problem[named.end() :], setting=named["name"]))
        else:
            self._found.append(Problem(severity, problem))

    def through(self, proxy: str) -> None:
        """BioT is reached through this proxy."""
        self._facts["upstream_proxy"] = proxy
        self._found.append(f"BIOT_BASE_URL: through the proxy {proxy}")

    def usable(self, file: str, routes: int, tests: int) -> None:
        """The routes file can be used; it has so many routes and tests, which pass."""
        self._facts["routes"] = {"file": file, "routes": routes, "tests": tests}
        passing = f"{counted(tests, 'test')} pass{'es' * (tests == 1)}" if tests else "no tests"
        self._found.append(f"{file}: {counted(routes, 'route')}, {passing}")

    def interceptors(self, lines: list[str]) -> None:
        """What BioT says of the routes."""
        self._facts["interceptors"] = lines
        self._found += lines or ["no route asks for interception"]

    @property
    def problems(self) -> list[Problem]:
        """Without what is only said."""
        return [found for found in self._found if isinstance(found, Problem)]

    @property
    def right(self) -> bool:
        """True without errors; warnings are none."""
        return all(problem.severity != "error" for problem in self.problems)

    def lines(self, palette: Palette) -> Iterator[str]:
        """For people, and for editors that know FILE:LINE:COL."""
        for found in self._found:
            yield found if isinstance(found, str) else found.line_in(palette)

    def json(self) -> str:
        """One object; a problem has `file`, `line` and `column`, or `setting`, or neither."""
        problems = [
            {name: value for name, value in problem._asdict().items() if value is not None} for problem in self.problems
        ]
        return json.dumps({"ok": self.right, "problems": problems} | self._facts, indent=2)

    def annotations(self) -> Iterator[str]:
        """Workflow commands, which GitHub shows at the lines of a change; what is no problem stays a plain line."""
        for found in self._found:
            if isinstance(found, Problem):
                yield f"::{found.severity} {_properties(found)}::{_data(found.message)}"
            else:
                yield found


def _properties(problem: Problem) -> str:
    if problem.file is None:
        return f"title={_property(problem.place)}"
    return f"file={_property(problem.file)},line={problem.line},col={problem.column}"


def _data(text: str) -> str:
    """As GitHub's own toolkit escapes it (actions/toolkit, packages/core, command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
