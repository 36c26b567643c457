"""The parts that an installation may lack: which modules each needs, and what a user does about a missing one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "simulator": ("aiohttp", "cryptography"),
        "inspector": ("aiohttp",),
        "redis": ("cryptography", "redis"),
        "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    }
)
"""Extra of the distribution -> what it brings, by the name that is imported."""


def lack_of(extra: str) -> str:
    """What an extra lacks here and how to install it, as the end of a sentence; empty if it is whole."""
    missing = [name for name in MODULES[extra] if not _is_there(name)]
    if not missing:
        return ""
    are = "is" if len(missing) == 1 else "are"
    return f'needs {" and ".join(missing)}, which {are} not installed here: pip install "biot-sidecar[{extra}]"'


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it would be a part of
        return False
