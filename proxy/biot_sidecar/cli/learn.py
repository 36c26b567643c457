"""`biot-sidecar learn [FILE...]`: JSON access logs -> the smallest routes file for what was seen."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.durations import show_duration
from biot_sidecar.errors import BadSettings
from biot_sidecar.routing.file import load
from biot_sidecar.routing.file.watcher import load_routes_file
from biot_sidecar.routing.learn import Call, Learned, learn
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings.routes_path import find_routes_file, warning_about

_READY: Final = b"biot-sidecar ready on "
_EXAMPLES: Final = ("1", "example", "00000000-0000-0000-0000-000000000000")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("--deny", action="store_true", help="deny what was not seen; without it that is observed")
    add_setting_flags(parser, "learn")
    parser.add_argument("files", nargs="*", metavar="FILE", help="JSON access logs; none: standard input")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 for what is no JSON access log, or a routes file with errors."""
    path = find_routes_file(env, flags_of(args))
    if warning := warning_about(env, flags_of(args)):
        say(warning)
    loaded = load_routes_file(path)
    if loaded.table is None:
        raise BadSettings([str(problem) for problem in loaded.errors])
    calls = Counter(_read_all(args.files))
    if not calls:
        raise BadSettings(["no request stands in the log; the sidecar writes one with SIDECAR_LOG_FORMAT=json"])
    print(render(loaded.table, learn(loaded.table, calls, deny=args.deny), calls.total(), deny=args.deny), end="")
    return 0


def _read_all(files: Iterable[str]) -> Iterator[Call]:
    if not files:
        yield from read_calls(sys.stdin.buffer, "standard input")
    for file in files:
        try:
            with open(file, "rb") as log:
                yield from read_calls(log, file)
        except OSError as error:
            raise BadSettings([f"{file}: cannot be read: {error.strerror or error}"]) from None


def read_calls(lines: Iterable[bytes], file: str) -> Iterator[Call]:
    """The calls that a log tells of. Raises BadSettings, which quotes nothing of it, for any other file."""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(_READY):
            continue
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("event"), str):
            raise BadSettings([f"{file}:{number}:1: error: this is no line of a JSON access log"])
        if told["event"] == "request":
            yield _call(told)


def _call(told: Mapping[str, Any]) -> Call:
    status = told.get("upstream_status")
    method, path, route = (
        value if isinstance(value := told.get(key), str) else "" for key in ("method", "path", "rule")
    )
    return Call(method, path, route, status if isinstance(status, int) else 0)


# ---- what is printed


def render(table: RouteTable, learned: Learned, calls: int, *, deny: bool) -> str:
    """The routes file, with tests that pass, and what else was learned as comments."""
    rules = "\n".join([*_top(table.unmatched, calls, deny=deny), *_routes(table.unmatched, learned.routes)])
    tests = list(_tests(rules, learned.examples))
    return "\n".join([rules, *(["tests:", *tests] if tests else []), *_comments(learned), ""])


def _top(defaults: Route, calls: int, *, deny: bool) -> Iterator[str]:
    yield "# yaml-language-server: $schema=./routes.schema.json"
    yield f"# What {calls} {'call' if calls == 1 else 'calls'} of an access log needed: biot-sidecar learn"
    yield "version: 1"
    yield "defaults:"
    for key, value in _settings(defaults).items():
        yield f"  {key}: {value}"
    yield f"  unmatched: {'deny' if deny else 'observe'}"


def _settings(route: Route) -> dict[str, str]:
    return {
        "interception": route.interception.value,
        "authorization": route.authorization.value,
        "timeout": show_duration(route.timeout),
        "retry": route.retry.value,
    }


def _routes(defaults: Route, routes: Iterable[Route]) -> Iterator[str]:
    usual = _settings(defaults)
    for number, route in enumerate(routes):
        if not number:
            yield "routes:"
        yield f"  - name: {_text(route.name)}"
        yield "    match:"
        yield from (f"      - {_text(pattern)}" for pattern in route.patterns)
        if route.deny is not None:
            yield f"    deny: {_text(route.deny)}"
        elif route.observe is not None:
            yield f"    observe: {_text(route.observe)}"
        else:
            yield from (f"    {key}: {value}" for key, value in _settings(route).items() if value != usual[key])


def _tests(rules: str, examples: Iterable[tuple[Pattern, str]]) -> Iterator[str]:
    """A test for each example that the routes answer as it wants; others would need a path that one cannot make up."""
    table = load(rules.encode(), "learned").table
    if table is None:
        return
    for pattern, name in examples:
        method = min(pattern.methods or {"GET"})
        for path in (_example(pattern, segment) for segment in _EXAMPLES):
            verdict = table.verdict(method.encode(), path.encode())
            if verdict.path_refused is None and verdict.deny is None and verdict.route.name == name:
                yield f"  - request: {_text(f'{method} {path}')}"
                yield f"    expect: {{route: {_text(name)}, deny: false}}"
                break


def _example(pattern: Pattern, segment: str) -> str:
    """A path of the pattern, with `segment` for each placeholder."""
    words = pattern.text.partition(" ")[2].strip().split("/")[1:]
    return "/" + "/".join(segment if word.startswith("{") else word for word in words if word != "**")


def _comments(learned: Learned) -> Iterator[str]:
    if learned.permissions:
        yield "# BioT asks for these permissions:"
        for name, needing in learned.permissions.items():
            yield from (f"#   {name}: {operation}" for operation in needing)
    if learned.refused:
        yield "# BioT answered with 403 (ACCESS_DENIED), so the service user lacks a permission:"
        yield from (f"#   {operation} ({count}x)" for operation, count in learned.refused.items())
    if learned.unnamed:
        yield f"# {learned.unnamed} more had a path that neither BioT's known operations nor the routes file names."


def _text(text: str) -> str:
    """As YAML, in quotes: JSON's are YAML's too."""
    return json.dumps(text, ensure_ascii=False)
