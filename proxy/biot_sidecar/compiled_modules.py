"""Finds this package's compiled modules, where it has any: all lie in one library beside it (docs/compiled.md).

An extension for each module would be found without this, and cost each start 0.1 ms and the process 20 kB a module.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from typing import Final

LIBRARY: Final = "biot_sidecar__mypyc"
"""Its name as a module, which mypyc gives it."""


class CompiledFinder:
    """Finds the library, which is the file, and what it holds."""

    def __init__(self, file: str) -> None:
        self._file = file

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if name != LIBRARY and not self._holds(name):
            return None
        spec = ModuleSpec(name, ExtensionFileLoader(name, self._file), origin=self._file)
        spec.has_location = True
        return spec

    def _holds(self, name: str) -> bool:
        """mypyc's library has a function for each module that it can make."""
        return hasattr(sys.modules.get(LIBRARY), "init_" + name.replace(".", "___"))


def find_compiled_modules(package: str) -> None:
    """Let what lies in the library beside the package's folder be imported from there, before its source."""
    file = os.path.join(os.path.dirname(package), LIBRARY + EXTENSION_SUFFIXES[0])
    if os.path.exists(file):
        sys.meta_path.insert(0, CompiledFinder(file))
        importlib.import_module(LIBRARY)
