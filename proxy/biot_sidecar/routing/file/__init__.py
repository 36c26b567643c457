"""The routes file: bytes -> a table of routes, or every diagnostic with its line and column."""

from __future__ import annotations

import msgspec

from biot_sidecar.pacing import Pace, let_go, no_pause, paced
from biot_sidecar.routing.file.diagnostics import Diagnostic, Diagnostics, counted
from biot_sidecar.routing.file.foreign_file import names_a_section, refuse_foreign
from biot_sidecar.routing.file.inline_tests import run_tests
from biot_sidecar.routing.file.lint_operations import check_operations
from biot_sidecar.routing.file.lint_shadowing import check_shadowing
from biot_sidecar.routing.file.parse import Sections, Unmatched, read_sections
from biot_sidecar.routing.file.preparsed import tree_of
from biot_sidecar.routing.file.tree import Mapping, Node, parts_of
from biot_sidecar.routing.table import RouteTable

__all__ = ["Diagnostic", "Loaded", "counted", "import_parser_for", "load"]


class Loaded(msgspec.Struct, frozen=True, eq=False):
    """What came of a file: a table, or None when any of the diagnostics is an error. `tests` is how many it holds."""

    table: RouteTable | None
    diagnostics: tuple[Diagnostic, ...]
    tests: int = 0

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(problem for problem in self.diagnostics if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(problem for problem in self.diagnostics if problem.severity == "warning")


def load(data: bytes, file: str, *, pace: Pace = no_pause) -> Loaded:
    """Read and judge a routes file and run its own tests; `file` is what messages call it. Never raises.

    `pace` is called between the steps of the work, and of the work of freeing what it needed.
    """
    foreign = not names_a_section(data)
    report = Diagnostics(file, foreign=foreign, pace=pace)
    root = tree_of(data) or _parsed(data, report)
    if root is not None and (foreign or not isinstance(root, Mapping)):
        refuse_foreign(root, report)
    if root is None or foreign or not isinstance(root, Mapping):
        return Loaded(None, report.in_order())
    table, sections = _checked(root, report)
    parts = [*parts_of(root), *sections.routes, *sections.tests]
    tests = len(sections.tests)
    del root, sections
    if table is not None and report.any_error:
        parts, table = [*table.parts(pace), *parts], None
    let_go(parts, pace)
    return Loaded(table, report.in_order(), tests)


def import_parser_for(data: bytes) -> None:
    """Import what load() takes for these bytes. Raises OSError where no file can be opened, and can be called again."""
    if tree_of(data) is None:
        import biot_sidecar.routing.file.yaml_tree  # noqa: F401 - with PyYAML


def _parsed(data: bytes, report: Diagnostics) -> Node | None:
    from biot_sidecar.routing.file.yaml_tree import read_document

    return read_document(data, report)


def _checked(root: Mapping, report: Diagnostics) -> tuple[RouteTable | None, Sections]:
    """The table, if the routes are right, and what the file says; `report` gets the rest."""
    sections = read_sections(root, report)
    check_shadowing(sections.routes, report)
    check_operations(sections.routes, report)
    if not sections.routes_valid:
        return None, sections
    routes = [parsed.route for parsed in paced(sections.routes, report.pace)]
    table = RouteTable(
        routes,
        sections.unmatched,
        deny_unmatched=sections.policy is Unmatched.DENY,
        observe_unmatched=sections.policy is Unmatched.OBSERVE,
        pace=report.pace,
        patterns=[
            (number, pattern)
            for number, one in enumerate(paced(sections.routes, report.pace))
            for pattern, _ in one.matches
        ],
    )
    run_tests(table, sections.tests, report)
    return table, sections
