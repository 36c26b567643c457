"""Expressions that a build has compiled for the start: the same ones, and none of another engine."""

from __future__ import annotations

import _sre
import marshal
import re
import subprocess
import sys
from pathlib import Path

import pytest
from biot_sidecar import precompiled_regexes

from tests.deploy.programs import DEPLOY, PLAIN

UNMEASURED = PLAIN | {"COVERAGE_PROCESS_CONFIG": ""}
PATTERN = "(?P<one>a+)|[^\\W\\d]{2,}"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What a build writes."""
    made = tmp_path_factory.mktemp("build") / "regexes"
    subprocess.run([sys.executable, DEPLOY / "precompile_regexes.py", made], env=UNMEASURED, check=True, timeout=60)
    return made


def used(file: Path, known: object) -> None:
    file.write_bytes(known if isinstance(known, bytes) else marshal.dumps(known))
    end = precompiled_regexes.use(str(file))
    re.purge()
    try:
        assert re.compile(PATTERN, re.IGNORECASE).fullmatch("AA")["one"] == "AA"
    finally:
        end()


def test_a_start_compiles_none_of_its_own(file):
    code = f"""
from biot_sidecar import precompiled_regexes as it
use = it.use
it.use = lambda: use({str(file)!r})
from biot_sidecar import frugal_start
frugal_start.begin()
import re
parsed = []
parse = re._parser.parse
re._parser.parse = lambda pattern, *more: parsed.append(pattern) or parse(pattern, *more)
import biot_sidecar.cli.serve, biot_sidecar.process.lifecycle
from biot_sidecar.routing.file import load
from biot_sidecar.settings.routes_path import brought
with open(brought("routes.yaml"), "rb") as routes:
    assert load(routes.read(), "").table
print(parsed, biot_sidecar.process.lifecycle.__name__)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=UNMEASURED,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "[] biot_sidecar.process.lifecycle\n", ran.stderr


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
