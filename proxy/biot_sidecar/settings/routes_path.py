"""Which routes file counts: the one that was named, ./config/routes.yaml, or the one that the package brings; and
what `init` makes a file of one's own of.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from biot_sidecar.settings.names import ROUTES
from biot_sidecar.settings.table import DEFAULTS

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Within a wheel the file lies in the package, in a working copy beside it.
_BROUGHT: Final = (os.path.join(_PACKAGE, "data"), os.path.join(os.path.dirname(os.path.dirname(_PACKAGE)), "config"))


def find_routes_file(env: Mapping[str, str], flags: Mapping[str, str]) -> str:
    """The path to read, flag over environment over default; only the default may be missing and is then replaced."""
    if named := _named(env, flags):
        return named
    default = DEFAULTS[ROUTES]
    if os.path.exists(default):
        return default
    return brought("routes.yaml") or default


def brought(name: str) -> str:
    """The path of a file that the package brings; empty if it does not."""
    return next(filter(os.path.exists, (os.path.join(folder, name) for folder in _BROUGHT)), "")


def warning_about(env: Mapping[str, str], flags: Mapping[str, str]) -> str:
    """What to say when the brought routes file counts because none was named and there is none here; else nothing."""
    path = find_routes_file(env, flags)
    if _named(env, flags) or path == DEFAULTS[ROUTES]:
        return ""
    return (
        f"{ROUTES}: is not set and there is no {DEFAULTS[ROUTES]} in this folder, so the program's own routes file "
        f"is in force, {path}; write one of yours with: biot-sidecar init"
    )


def _named(env: Mapping[str, str], flags: Mapping[str, str]) -> str:
    return next(filter(None, (source.get(ROUTES, "").strip() for source in (flags, env))), "")
