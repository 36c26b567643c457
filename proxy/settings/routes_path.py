"""Which routes file counts: the one that was named, ./config/routes.yaml, or the one that the package brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.settings.names import DEFAULTS

NAME: Final = "SIDECAR_ROUTES"
_PACKAGE: Final = Path(__file__).resolve().parents[1]
# Within a wheel the file lies in the package, in a working copy beside it.
_BROUGHT: Final = (_PACKAGE / "data" / "routes.yaml", _PACKAGE.parent / "config" / "routes.yaml")


def find_routes_file(env: Mapping[str, str], flags: Mapping[str, str]) -> str:
    """The path to read, flag over environment over default; only the default may be missing and is then replaced."""
    for given in (flags.get(NAME), env.get(NAME)):
        if given is not None and given.strip():
            return given.strip()
    default = DEFAULTS[NAME]
    if Path(default).exists():
        return default
    return next((str(path) for path in _BROUGHT if path.exists()), default)
