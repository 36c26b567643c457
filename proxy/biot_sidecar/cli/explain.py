"""`biot-sidecar explain METHOD PATH`: which rule answers a request, and what it does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.errors import BadSettings, WrongCommandLine
from biot_sidecar.routing.explain import Explanation, explain, facts_of
from biot_sidecar.routing.file.watcher import load_routes_file
from biot_sidecar.routing.pattern import METHOD
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings.routes_path import find_routes_file, warning_about

_MEANING: Final = {
    ("interception", "off"): "allow-interception is removed, no interceptors run",
    ("interception", "on"): "allow-interception is set, BioT's interceptors run",
    ("interception", "client"): "allow-interception stays as the plugin sent it",
    ("authorization", "replace"): "the service user's token",
    ("authorization", "keep"): "the plugin's own token, the service user's if it sent none",
    ("authorization", "none"): "no token",
    ("retry", "idempotent"): "GET, HEAD, OPTIONS, PUT and DELETE are tried again when BioT fails",
    ("retry", "none"): "one try",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("method", metavar="METHOD", help="such as GET")
    parser.add_argument("path", metavar="PATH", help="such as /ums/v2/users/1; a query plays no part and is not shown")
    add_setting_flags(parser, "explain")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--why", action="store_true", help="also: why no earlier route matches")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 for a routes file with errors. Raises WrongCommandLine for what is no method or path."""
    mistake = _mistake(args.method, args.path)
    if mistake:
        raise WrongCommandLine(mistake)
    path = find_routes_file(env, flags_of(args))
    if warning := warning_about(env, flags_of(args)):
        say(warning)
    try:
        loaded = load_routes_file(path)
        problems = [str(problem) for problem in loaded.errors]
    except BadSettings as error:
        loaded, problems = None, error.problems
    if loaded is None or loaded.table is None:
        print("\n".join(problems), file=sys.stderr)
        return 1
    found = explain(loaded.table, args.method, args.path)
    why = loaded.table.why(*_request(found)) if args.why else []
    if args.json:
        print(json.dumps(found | ({"why": why} if args.why else {}), indent=2))
    else:
        print("\n".join([*_lines(found, loaded.table), *_why_lines(why, asked=args.why)]))
    return 0


def _mistake(method: str, path: str) -> str:
    if not METHOD.fullmatch(method):
        return f"{method!r} is no method; write biot-sidecar explain GET /ums/v2/users/1"
    if not path.startswith("/") and path != "*":
        return "the path begins with /; write biot-sidecar explain GET /ums/v2/users/1"
    return ""


def _request(found: Explanation) -> tuple[bytes, bytes]:
    return found["method"].encode(), found["path"].encode("utf-8", "surrogateescape")


def _lines(found: Explanation, table: RouteTable) -> Iterator[str]:
    yield f"{found['method']} {_printable(found['path'])}"
    if found["route"] is not None:
        yield _line("route", f"{found['route']} ({found['source']})")
    yield _line("deny", "no" if found["deny"] is None else found["deny"])
    if found["deny"] is None:
        for key in ("interception", "authorization", "timeout", "retry"):
            meaning = _MEANING.get((key, found[key]))
            yield _line(key, found[key] if meaning is None else f"{found[key]}: {meaning}")
    if "observe" in found:
        yield _line("observe", f"{found['observe']['route']} would deny it: {found['observe']['reason']}")
    operation = table.verdict(*_request(found)).operation
    if operation is not None:
        yield _line("operation", facts_of(operation))
    for warning in found["warnings"]:
        yield _line("warning", warning)


def _line(key: str, value: str) -> str:
    return f"  {key:15}{value}"


def _why_lines(why: list[str], *, asked: bool) -> list[str]:
    if not asked:
        return []
    return ["  why no earlier route:", *(f"    {line}" for line in why or ["there is none before it"])]


def _printable(path: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in path)
