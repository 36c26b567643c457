"""The maps of the house say what is there: every module and function they name exists, every room is on them."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import biot_sidecar
import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "proxy" / "biot_sidecar"
ROOMS = {path.stem for path in HOUSE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {
    "__init__",
    "__main__",
}
REFERENCE = re.compile(rf"(?<![\w./`-])`?({'|'.join(sorted(ROOMS))})((?:\.[A-Za-z_]\w*)+)")
"""`room.module.Class.method`, with or without its quotes."""
FOLDERS = {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()} - {"settings"}
NOT_NAMES = {"py", "md", "yaml", "json"}
ATTRIBUTES = re.compile(r"http\.(?:request|response|route)(?:\.|\Z)")
"""OpenTelemetry's names of what a span tells, which are none of ours."""
PATH = re.compile(rf"(?<![\w/.])(?:(?:proxy|tests|docs|config|deploy)/[\w./-]*[\w/]|(?:{'|'.join(ROOMS)})/[\w/]+\.py)")
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"]
MAP = biot_sidecar.__doc__ or ""


def names_in(text: str) -> set[str]:
    found = {room + rest for room, rest in REFERENCE.findall(text)}
    return {name for name in found if name.rpartition(".")[2] not in NOT_NAMES and not ATTRIBUTES.match(name)}


def exists(name: str) -> bool:
    """True if each part of the name is a module of the one before it, or something that it defines."""
    value: object = biot_sidecar
    for part in name.split("."):
        package = value.__name__ if isinstance(value, ModuleType) and hasattr(value, "__path__") else ""
        if package and find_spec(f"{package}.{part}"):
            value = import_module(f"{package}.{part}")
        elif hasattr(value, part):
            value = getattr(value, part)
        else:
            return False
    return True


def listed_in(text: str) -> set[str]:
    """The words that begin an indented line of two columns."""
    return set(re.findall(r"^    ([a-z_]+) {2,}\S", text, re.MULTILINE)) - {"plugin"}


def test_every_room_is_on_the_map_and_nothing_else():
    assert listed_in(MAP) == ROOMS


@pytest.mark.parametrize("name", sorted(names_in(MAP)))
def test_what_the_map_names_exists(name):
    assert exists(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_the_pages_about_the_house_name_exists(page):
    text = page.read_text(encoding="utf-8")
    assert not [name for name in sorted(names_in(text)) if not exists(name)]
    folders = (ROOT, HOUSE, page.parent)
    assert not [path for path in PATH.findall(text) if not any((folder / path).exists() for folder in folders)]


def test_the_map_and_the_architecture_name_enough_to_be_worth_holding():
    assert len(names_in(MAP)) >= 8
    assert len(names_in((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))) >= 30


@pytest.mark.parametrize("name", ["http.server.Nothing", "http.nowhere", "auth.tokens.Tokens.nothing"])
def test_a_name_that_is_no_more_is_found_out(name):
    assert names_in(f"see `{name}` and {name}") == {name}
    assert not exists(name)


def test_every_decision_has_a_context_a_decision_and_consequences_and_a_line_in_the_list():
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page.name
        assert f"({page.name})" in listed


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_what_a_docstring_names_of_another_room_exists(path):
    """Only names in a room that is a folder are looked up; `settings.listen` is a value's field."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    named = {name for text in texts for name in names_in(text) if name.partition(".")[0] in FOLDERS}
    assert not [name for name in sorted(named) if not exists(name)]


def test_no_text_names_a_room_of_an_earlier_house():
    former = re.compile(r"(?<![\w/.])(?:wiring|pipeline|policy|net|routesfile)[./](?!ipv4|http|core)[a-z_]+")
    pages = [*HOUSE.rglob("*.py"), *PAGES, ROOT / "README.md"]
    assert not [(page.name, *former.findall(text)) for page in pages if former.search(text := page.read_text("utf-8"))]
