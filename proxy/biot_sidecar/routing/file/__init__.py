"""The routes file: bytes -> a table of routes, or every problem with its line and column."""

from __future__ import annotations

import msgspec

from biot_sidecar.pacing import Pace, let_go, no_pause
from biot_sidecar.routing.file.diagnostics import Problem, Problems, counted
from biot_sidecar.routing.file.foreign_file import names_a_section, refuse_foreign
from biot_sidecar.routing.file.inline_tests import run_tests
from biot_sidecar.routing.file.lint_operations import judge_meaning
from biot_sidecar.routing.file.lint_shadowing import judge_reach
from biot_sidecar.routing.file.parse import Sections, Unmatched, read_sections
from biot_sidecar.routing.file.yaml_tree import Mapping, parts_of, read_document
from biot_sidecar.routing.table import RouteTable

__all__ = ["Loaded", "Problem", "counted", "load"]


class Loaded(msgspec.Struct, frozen=True, eq=False):
    """What came of a file: a table, or None when any of the problems is an error. `tests` is how many it holds."""

    table: RouteTable | None
    problems: tuple[Problem, ...]
    tests: int = 0

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def load(data: bytes, file: str, *, pace: Pace = no_pause) -> Loaded:
    """Read and judge a routes file and run its own tests; `file` is what messages call it. Never raises.

    `pace` is called between the steps of the work, and of the work of freeing what it needed.
    """
    foreign = not names_a_section(data)
    problems = Problems(file, foreign=foreign, pace=pace)
    root = read_document(data, problems)
    if root is not None and (foreign or not isinstance(root, Mapping)):
        refuse_foreign(root, problems)
    if root is None or foreign or not isinstance(root, Mapping):
        return Loaded(None, problems.in_order())
    table, sections = _judged(root, problems)
    parts = [*parts_of(root), *sections.routes, *sections.tests]
    tests = len(sections.tests)
    del root, sections
    if table is not None and problems.any_error:
        parts, table = [*table.parts(pace), *parts], None
    let_go(parts, pace)
    return Loaded(table, problems.in_order(), tests)


def _judged(root: Mapping, problems: Problems) -> tuple[RouteTable | None, Sections]:
    """The table, if the routes are right, and what the file says; `problems` gets the rest."""
    sections = read_sections(root, problems)
    judge_reach(sections.routes, problems)
    judge_meaning(sections.routes, problems)
    if not sections.routes_valid:
        return None, sections
    routes = [parsed.route for parsed in sections.routes]
    table = RouteTable(
        routes,
        sections.unmatched,
        deny_unmatched=sections.policy is Unmatched.DENY,
        observe_unmatched=sections.policy is Unmatched.OBSERVE,
        pace=problems.pace,
    )
    run_tests(table, sections.tests, problems)
    return table, sections
