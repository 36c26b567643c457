"""Prepares a start where an image or a bundle is built, its expressions and its routes file: prepare_start.py [FOLDER]

Run by the Python that is to start, with its biot_sidecar, in whose folder of data it leaves, unless FOLDER says where,
what biot_sidecar/precompiled_regexes.py and biot_sidecar/routing/file/preparsed.py use.
"""

from __future__ import annotations

import _sre
import importlib
import marshal
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from biot_sidecar import frugal_start, precompiled_regexes

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


def main(folder: str = os.path.dirname(precompiled_regexes.FILE)) -> None:
    regexes = Path(folder, os.path.basename(precompiled_regexes.FILE))
    regexes.unlink(missing_ok=True)  # nothing is taken from it
    known = record()
    frugal_start.begin()
    for name in _MODULES:
        importlib.import_module(name)
    _parse_routes(folder)
    regexes.write_bytes(marshal.dumps((precompiled_regexes.MAGIC, known)))


def _parse_routes(folder: str) -> None:
    """Leaves the tree of the routes file that comes along, if it can be used, and nothing else."""
    # What a start imports is imported by now, and not before regular expressions were recorded.
    from biot_sidecar.routing.file import Diagnostics, load, preparsed
    from biot_sidecar.routing.file.yaml_tree import read_document
    from biot_sidecar.settings.routes_path import brought

    tree = Path(folder, os.path.basename(preparsed.FILE))
    tree.unlink(missing_ok=True)
    path = brought("routes.yaml")
    data = Path(path).read_bytes()
    root = read_document(data, Diagnostics(path))
    if root is not None and load(data, path).table is not None:
        tree.write_bytes(preparsed.to_bytes(data, root))


if __name__ == "__main__":
    main(*sys.argv[1:2])
