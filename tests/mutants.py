"""Mutants: decisions and counts with one thing changed each, chosen by a seed, and whether a test notices.

`python -m tests.mutants [SEED] [COUNT]` prints those that survive and ends with 1 if there are more than two. What of
them does no harm stands in HARMLESS with its reason.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path("proxy/biot_sidecar")
SUBJECTS = {
    "auth": "freshness incurable_routes login_response placeholder token token_cipher token_rejection tokens",
    "routing": "case_folding local_paths loop_limiter path_normalization pattern pattern_tree retry route shadowing"
    " table",
    "http": "admission chunked framing header_fields header_rules messages retry_after traceparent",
    "telemetry": "batching_observer histogram merging metrics series_expiry snapshot",
}
SURVIVORS_MOST = 2
SIDE_BY_SIDE = 2
LONGEST = 1800
"""Seconds after which a run counts as one that noticed nothing; a test that hangs fails before, by its own limit."""
HARMLESS = {
    ("tokens", "'behind' if offset >= 0 else"): "an offset of 0 is within the tolerance, and nothing is said of it",
    ("tokens", "'behind' if offset > 1 else"): "the same of an offset of 1",
    ("snapshot", "spans_dropped: int = 1"): "each snapshot sets it before it is read",
    ("chunked", "self._left = 1"): "each size line sets it before it is looked at",
}
"""Module and what the changed line holds, of mutants that do what the original does or break no promise: why."""

OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult,
}  # fmt: skip


class Site(NamedTuple):
    """Something that can be changed: the `at`th node of a module's tree."""

    module: Path
    at: int


class Mutant(NamedTuple):
    """A module's text with one change; `change` shows it."""

    site: Site
    text: str
    line: int
    change: str


def sites(module: Path) -> Iterator[Site]:
    tree = ast.parse((ROOT / module).read_text())
    skipped = untouched(tree)
    for at, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped and changed(copy.deepcopy(node)) is not None:
            yield Site(module, at)


def untouched(tree: ast.Module) -> set[int]:
    """Annotations, what only types see, and text that is no code."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            roots.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            roots += [node.returns] if node.returns else []
            roots += node.decorator_list
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            roots.append(node)
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.If) and "TYPE_CHECK" in ast.dump(node.test)
        ):
            roots.append(node)
    return {id(inner) for root in roots for inner in ast.walk(root)}


def changed(node: ast.AST) -> ast.AST | None:
    """The node with another meaning, or None where this knows no other."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in OPPOSITE:
            node.ops = [OPPOSITE[type(op)]()]
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.Not()):
            return node.operand
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int() | float()):
            node.value += 1
        case ast.BinOp(op=op) if type(op) in ARITHMETIC and not isinstance(node.left, ast.Constant | ast.JoinedStr):
            node.op = ARITHMETIC[type(op)]()
        case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            node.op = ARITHMETIC[type(op)]()
        case ast.If() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Expr(value=ast.Call() | ast.Await()):
            return ast.copy_location(ast.Pass(), node)
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
        case _:
            return None
    return node


class Replacing(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def mutant(site: Site) -> Mutant:
    tree = ast.parse((ROOT / site.module).read_text())
    node = list(ast.walk(tree))[site.at]
    before = ast.unparse(tree).splitlines()
    new = changed(copy.deepcopy(node))
    assert new is not None
    text = ast.unparse(ast.fix_missing_locations(Replacing(node, new).visit(tree)))
    pairs = [pair for pair in zip(before, text.splitlines(), strict=False) if pair[0] != pair[1]]
    old_line, new_line = (line.strip() for line in (pairs or [("", "")])[0])
    return Mutant(site, text, node.lineno, f"{old_line}  ->  {new_line}")


def chosen(seed: int, count: int) -> list[Mutant]:
    modules = [PACKAGE / room / f"{name}.py" for room, names in SUBJECTS.items() for name in names.split()]
    every = [site for module in modules for site in sites(module)]
    return [mutant(site) for site in random.Random(seed).sample(every, count)]


def noticed(one: Mutant, tree: Path) -> bool:
    """True if a test fails on it: those of the module first, then those of its package, of http, and of pacing."""
    original = (tree / one.site.module).read_text()
    (tree / one.site.module).write_text(one.text + "\n")
    try:
        return any(fails(tree, *tests) for tests in nearest_first(one.site.module))
    finally:
        (tree / one.site.module).write_text(original)


def nearest_first(module: Path) -> Iterator[list[Path]]:
    room = module.parent.name
    own = Path("tests", room, f"test_{module.name}")
    if (ROOT / own).is_file():
        yield [own]
    yield [Path("tests", room)]
    if room != "http":
        yield [Path("tests", "http")]  # puts all of them together
    yield [Path("tests", "test_pacing.py")]  # a step that lets nobody else have a turn


def harmless(one: Mutant) -> bool:
    new_line = one.change.partition("  ->  ")[2]
    return any(module == one.site.module.stem and part in new_line for module, part in HARMLESS)


def fails(tree: Path, *tests: Path) -> bool:
    # The same examples each time, and none of those that failed before: only the mutant makes the difference. A program
    # that a test starts would be that of .venv.
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    command += ["-m", "not thorough and not slow and not e2e"]
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'proxy'}:{tree}"}
    environment.pop("BIOT_SIDECAR_UNDER_TEST", None)
    try:
        ran = subprocess.run(
            [*command, *map(str, tests)], cwd=tree, env=environment, capture_output=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode not in (0, 5)


def main(seed: int, count: int) -> int:
    mutants = chosen(seed, count)
    trees: SimpleQueue[Path] = SimpleQueue()

    def judge(one: Mutant) -> Mutant | None:
        tree = trees.get()
        survives = not noticed(one, tree)
        trees.put(tree)
        print("survives" if survives else "noticed ", f"{one.site.module}:{one.line}: {one.change}", flush=True)
        return one if survives else None

    with TemporaryDirectory() as folder, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for number in range(SIDE_BY_SIDE):
            trees.put(tree := copied(Path(folder, str(number))))
        if fails(tree, *(Path("tests", room) for room in SUBJECTS)):
            sys.exit("a test fails on the sources as they are: each mutant would seem to be noticed")
        survivors = [one for one in pool.map(judge, mutants) if one is not None]
    unexplained = [one for one in survivors if not harmless(one)]
    print(f"seed {seed}: {len(survivors)} of {count} mutants survive, {len(unexplained)} of them unexplained")
    return int(len(unexplained) > SURVIVORS_MOST)


def copied(tree: Path) -> Path:
    """What the tests need, apart from what is being worked on."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    return tree


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(given + [14, 50][len(given) :])))
