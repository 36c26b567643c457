"""What a build has prepared of a start: the same regular expressions, none of another engine; the same routes."""

from __future__ import annotations

import _sre
import marshal
import re
import subprocess
import sys
from pathlib import Path

import pytest
from biot_sidecar import precompiled_regexes
from biot_sidecar.routing.file import preparsed

from tests.deploy.programs import DEPLOY, PLAIN

UNMEASURED = PLAIN | {"COVERAGE_PROCESS_CONFIG": ""}
PATTERN = "(?P<one>a+)|[^\\W\\d]{2,}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder in which a build leaves it."""
    folder = tmp_path_factory.mktemp("build")
    subprocess.run([sys.executable, DEPLOY / "prepare_start.py", folder], env=UNMEASURED, check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def file(prepared):
    return prepared / Path(precompiled_regexes.FILE).name


def used(file: Path, known: object) -> None:
    file.write_bytes(known if isinstance(known, bytes) else marshal.dumps(known))
    end = precompiled_regexes.use(str(file))
    re.purge()
    try:
        assert re.compile(PATTERN, re.IGNORECASE).fullmatch("AA")["one"] == "AA"
    finally:
        end()


def start(folder: Path, code: str) -> str:
    """What `code` says in a start that has this folder's preparations. `parsed` has the expressions that it parses,
    `routes` the bytes of the routes file that comes along.
    """
    before = f"""
import functools
from biot_sidecar import precompiled_regexes as it
it.use = functools.partial(it.use, {str(folder / Path(precompiled_regexes.FILE).name)!r})
from biot_sidecar import frugal_start
frugal_start.begin()
import re, sys
parsed = []
parse = re._parser.parse
re._parser.parse = lambda pattern, *more: parsed.append(pattern) or parse(pattern, *more)
import biot_sidecar.cli.serve, biot_sidecar.process.lifecycle
from biot_sidecar.routing import file
from biot_sidecar.settings.routes_path import brought
file.tree_of = functools.partial(file.tree_of, file={str(folder / Path(preparsed.FILE).name)!r})
with open(brought("routes.yaml"), "rb") as opened:
    routes = opened.read()
"""
    ran = subprocess.run(
        [sys.executable, "-c", before + code], env=UNMEASURED, capture_output=True, text=True, timeout=60, check=False
    )
    return ran.stdout.strip() + ran.stderr


def loaded(folder: Path, *, more: bytes = b"") -> str:
    return start(
        folder,
        f"""
loaded = file.load(routes + {more!r}, "")
print(parsed, "yaml" in sys.modules, loaded.table and len(loaded.table.routes), *loaded.diagnostics)
""",
    )


def test_a_start_with_the_routes_file_that_comes_along_compiles_no_expression_and_takes_no_yaml(prepared):
    assert loaded(prepared) == "[] False 3"


def test_a_start_with_another_routes_file_compiles_no_expression_either(prepared):
    assert loaded(prepared, more=b"# our own\n") == "[] True 3"


def test_a_mistake_in_another_routes_file_is_found(prepared):
    assert "unknown" in loaded(prepared, more=b"rotues: []\n")


def test_a_reload_that_finds_no_descriptor_for_the_parser_takes_the_file_at_the_next_look(prepared, tmp_path):
    """A start with the routes file that comes along has imported none."""
    own = tmp_path / "routes.yaml"
    told = start(
        prepared,
        f"""
import asyncio
from biot_sidecar.routing.file.watcher import RoutesWatcher
class Full:
    def find_spec(self, name, path, target=None):
        if name == "yaml":
            raise OSError(24, "Too many open files")
read = [routes]
async def quickly(seconds): ...
watcher = RoutesWatcher(
    {str(own)!r}, wall=lambda: 0.0, log=lambda *words: print(*words), read=lambda path: read[0], sleep=quickly
)
watcher.load_first()
frugal_start.end()
read[0] = b"version: 1\\n"
sys.meta_path.insert(0, full := Full())
asyncio.run(watcher.poll())
sys.meta_path.remove(full)
asyncio.run(watcher.poll())
""",
    )
    assert told.splitlines() == [
        f"error {own}:1:1: error: the routes file cannot be read: Too many open files",
        f"error {own} was not taken; the routes read before stay in force",
        f"info {own} is in force: 0 routes",
    ]


def test_all_of_them_match_what_those_of_the_source_match(file):
    magic, known = marshal.loads(file.read_bytes())
    assert magic == _sre.MAGIC
    assert len(known) > 30
    for (pattern, flags), parts in known.items():
        assert _sre.compile(pattern, *parts) == re.compile(pattern, flags), pattern


@pytest.mark.parametrize(
    "known",
    [
        (_sre.MAGIC + 1, {(PATTERN, int(re.IGNORECASE)): (0, [1], 0, {}, (None,))}),
        (_sre.MAGIC, {}),
        7,
        b"",
        b"no such thing",
    ],
)
def test_of_another_engine_and_of_what_is_broken_nothing_is_taken(tmp_path, known):
    used(tmp_path / "regexes", known)


def test_where_nothing_was_built_all_are_compiled(tmp_path):
    end = precompiled_regexes.use(str(tmp_path / "none"))
    assert re.compile(PATTERN)
    end()


def test_what_was_built_is_left_aside_once_the_start_has_ended(tmp_path):
    compiled = re._compiler.compile
    (tmp_path / "regexes").write_bytes(marshal.dumps((_sre.MAGIC, {})))
    end = precompiled_regexes.use(str(tmp_path / "regexes"))
    assert re._compiler.compile is not compiled
    end()
    assert re._compiler.compile is compiled
