"""Which routes file counts: the one that was named, ./config/routes.yaml, or the one that the package brings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from proxy.settings.names import DEFAULTS

NAME: Final = "SIDECAR_ROUTES"
_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Within a wheel the file lies in the package, in a working copy beside it.
_BROUGHT: Final = (
    os.path.join(_PACKAGE, "data", "routes.yaml"),
    os.path.join(os.path.dirname(_PACKAGE), "config", "routes.yaml"),
)


def find_routes_file(env: Mapping[str, str], flags: Mapping[str, str]) -> str:
    """The path to read, flag over environment over default; only the default may be missing and is then replaced."""
    for given in (flags.get(NAME), env.get(NAME)):
        if given is not None and given.strip():
            return given.strip()
    default = DEFAULTS[NAME]
    if os.path.exists(default):
        return default
    return next(filter(os.path.exists, _BROUGHT), default)
