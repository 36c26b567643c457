"""Compiles the regular expressions of a start where an image or a bundle is built: precompile_regexes.py [FILE].

Run by the Python that is to start, with its biot_sidecar, beside which they are kept unless FILE says where:
biot_sidecar/precompiled_regexes.py uses them.
"""

from __future__ import annotations

import _sre
import importlib
import marshal
import re
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from biot_sidecar import frugal_start
from biot_sidecar.precompiled_regexes import FILE, MAGIC

_MODULES: Final = ("biot_sidecar.cli.serve", "biot_sidecar.process.lifecycle")
"""With them comes what a start imports."""


def record() -> dict[tuple[Any, int], tuple[Any, ...]]:
    """Fills with what `re` gives to its engine, by pattern and flags, from now on."""
    known: dict[tuple[Any, int], tuple[Any, ...]] = {}
    asked: list[tuple[Any, int]] = []
    compiler: Any = re._compiler
    compile_now = compiler.compile

    def compile_and_tell(pattern: Any, flags: int = 0) -> Any:
        asked.append((pattern, int(flags)))
        return compile_now(pattern, flags)

    def keep(pattern: Any, flags: int, code: list[int], *groups: Any) -> Any:
        known[asked.pop()] = (int(flags), [int(word) for word in code], *groups)
        return _sre.compile(pattern, flags, code, *groups)

    compiler.compile = compile_and_tell
    compiler._sre = SimpleNamespace(**{**vars(_sre), "compile": keep})
    return known


def main(file: Path = Path(FILE)) -> None:
    with suppress(FileNotFoundError):
        file.unlink()  # nothing is taken from it
    known = record()
    frugal_start.begin()
    for name in _MODULES:
        importlib.import_module(name)
    # And with the routes file that comes along what reading one compiles.
    routes = Path(importlib.import_module("biot_sidecar.settings.routes_path").brought("routes.yaml"))
    importlib.import_module("biot_sidecar.routing.file").load(routes.read_bytes(), str(routes))
    file.write_bytes(marshal.dumps((MAGIC, known)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
