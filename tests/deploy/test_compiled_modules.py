"""Which modules are compiled: those that a request runs through, as a trace of the interpreted program tells."""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.programs import ROOT
from tests.deploy.test_compiled import LISTED
from tests.support.authority import Authority
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import running
from tests.support.wire import request

PACKAGE = "proxy/biot_sidecar/"
ROUNDS = 12
COLD = {
    "auth/incurable_routes.py": "judges a 401",
    "auth/token.py": "a type; its members are fields",
    "http/allowed_callers.py": "asks who calls, where only some may",
    "http/body_buffer.py": "holds the body of a plugin's login, and the answers to ours",
    "http/interfaces.py": "types; what implements them is compiled",
    "http/read_buffer.py": "reads bodies that are large, or of unknown length and not here at once",
    "http/request_limits.py": "reads Sidecar-Timeout and Sidecar-Retry, where a request has one",
    "http/request_pacing.py": "lets requests of many connections wait for their turn",
    "http/request_trace.py": "types; what implements them is there for those who trace",
    "http/retry_after.py": "reads an answer that says when to come again",
    "routing/biot_operations.py": "gives the tree of operations, which a table keeps",
    "routing/case_folding.py": "judges paths that are not ASCII",
    "routing/observers.py": "judges routes that only observe",
}
"""Modules that are compiled though no such request runs through them: others that are compiled use them."""

OF_A_BATCH = {
    "process/factories.py": "begins the wait for what else is told within a batch's time",
    "telemetry/stderr.py": "writes a batch of lines",
}
"""Modules that are not compiled and called once a batch: as often as requests come, where these are slow."""


async def one_round(client: RawClient, number: int) -> None:
    """What plugins ask most, on a connection that is kept; no path and no field is that of the round before."""
    chunked = request("POST", f"/c/{number}", b"Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\n\r\n"
    posted = request("POST", f"/b/{number}", b"Content-Type: text/x-%d" % number, body=b"body")
    for method, raw in (("GET", request("GET", f"/%61/{number}?b=c")), ("POST", posted), ("POST", chunked)):
        assert (await client.ask(raw, method)).status == 200


async def calls(folder: Path, rounds: int, authority: Authority | None, seconds: float = 0.0) -> Counter[str]:
    """How often functions of each module of ours were called while the program lived, by the module's path.

    It lives for `seconds` at least: what it does by the clock grows with them, on a busy machine beyond a request's.
    """
    folder.mkdir()
    settings = {"TRACED_TO": str(folder / "calls"), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": ""}
    upstream = ScriptedUpstream()
    if authority is not None:
        upstream = ScriptedUpstream(authority.server_context())
        settings["SIDECAR_CA_FILE"] = str(authority.ca_file)
    async with running(folder, upstream=upstream, module="tests.support.traced", **settings) as house:
        begun = time.monotonic()
        client = await house.client()
        for number in range(rounds):
            await one_round(client, number)
        await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
    counted = json.loads((folder / "calls").read_text())
    root = f"{ROOT}/"
    return Counter({path.removeprefix(root): n for path, n in counted.items() if path.startswith(root + PACKAGE)})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.e2e
async def test_what_a_request_runs_through_is_compiled(tmp_path: Path, authority: Authority) -> None:
    found: set[str] = set()
    for ca in (None, authority):
        begun = time.monotonic()
        many = await calls(tmp_path / f"many-{ca is None}", 1 + ROUNDS, ca)
        few = await calls(tmp_path / f"few-{ca is None}", 1, ca, time.monotonic() - begun)
        found |= {module for module in many if many[module] - few[module] >= ROUNDS}
    found -= {PACKAGE + module for module in OF_A_BATCH}
    assert sorted(found) == sorted(set(LISTED) - {PACKAGE + module for module in COLD})


# ---- the tests that cannot run on it

INTERPRETED_MOST = 20
FOLDERS = ("http", "routing", "auth", "telemetry")


def interpreted() -> dict[str, bool]:
    """Tests that have the mark, by name, and whether each is one test: one that is parametrized were many."""
    files = [file for folder in FOLDERS for file in (ROOT / "tests" / folder).rglob("test_*.py")]
    functions = (
        node for file in files for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "decorator_list")
    )
    marked = {node.name: node.decorator_list for node in functions}
    return {
        name: not any(map(is_parametrized, marks)) for name, marks in marked.items() if any(map(is_interpreted, marks))
    }


def is_interpreted(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).startswith("pytest.mark.interpreted(")


def is_parametrized(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).startswith("pytest.mark.parametrize(")


def test_few_tests_cannot_run_on_the_compiled_form() -> None:
    assert 0 < len(interpreted()) <= INTERPRETED_MOST
    assert all(interpreted().values())
