"""The regular expressions of a start, compiled where an image or a bundle is built: to compile them is 4 % of a start.

deploy/prepare_start.py writes what `re` gives to its engine. The engine's version stands in the file; a start
leaves what was made for another one, and compiles as ever.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal
import os
import re
import sys
from collections.abc import Callable
from typing import Any, Final

FILE: Final = os.path.join(os.path.dirname(__file__), "data", f"regexes.{sys.implementation.cache_tag}")
"""Holds MAGIC, and by pattern and flags what `_sre.compile` takes beside the pattern."""
MAGIC: Final[int] = _sre.MAGIC
_compiler: Final[Any] = re._compiler  # type: ignore[attr-defined]


def use(file: str = FILE) -> Callable[[], None]:
    """Take from now on what is in the file; returns what ends that."""
    try:
        with open(file, "rb") as opened:
            magic, known = marshal.load(opened)  # noqa: S302 - it lies among the program's own files
    except (OSError, ValueError, EOFError, TypeError):
        return lambda: None
    if magic != MAGIC:
        return lambda: None
    compile_now = _compiler.compile

    def compile_unless_known(pattern: Any, flags: int = 0) -> Any:
        parts = known.get((pattern, flags))
        return compile_now(pattern, flags) if parts is None else _sre.compile(pattern, *parts)

    def end() -> None:
        _compiler.compile = compile_now

    _compiler.compile = compile_unless_known
    return end
