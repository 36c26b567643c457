"""Routes files for tests, in few words."""

from __future__ import annotations

from biot_sidecar.routing.file import load

PATIENTS = "/organization/v1/users/patients"


def diagnostics(*routes: str, defaults: str = "{}") -> list[str]:
    """What the reader says of a file with these routes; the first stands in line 4."""
    lines = ["version: 1", f"defaults: {defaults}", "routes:", *(f"- {route}" for route in routes)]
    return [str(problem) for problem in load("\n".join(lines).encode(), "f").diagnostics]


def route(name: str, *match: str, more: str = "") -> str:
    """One route on one line; `more` are its other keys."""
    listed = ", ".join(f'"{one}"' for one in match)
    return f"{{name: {name}, match: [{listed}]{', ' * bool(more)}{more}}}"
