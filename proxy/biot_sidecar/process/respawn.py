"""How this program starts itself again, as another process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def command(*words: str, module: str = "biot_sidecar") -> list[str]:
    """The words that run one of our own commands, by `module`."""
    # -P: a module called proxy in the user's folder is not ours.
    return [sys.executable, "-P", "-m", module, *words]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env`, and in it the way to this very package, installed or not."""
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, [_ROOT, env.get("PYTHONPATH", "")]))}
