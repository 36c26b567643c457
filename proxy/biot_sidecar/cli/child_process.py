"""Child processes of commands such as `exec` and `demo`: our own, and the user's."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from biot_sidecar.platform.children import (
    CHILD_ENDED,
    FORWARDED,
    HURRYING,
    LIFELINE,
    STOPPING,
    Child,
    Signals,
    reap,
    start,
)
from biot_sidecar.platform.children import start_own as _start_own
from biot_sidecar.process import respawn

__all__ = ["CHILD_ENDED", "FORWARDED", "STOPPING", "Child", "Signals", "finish", "reap", "start", "start_own"]


def start_own(words: list[str], env: Mapping[str, str], signals: Signals) -> Child:
    """Start a command of this program, out of the terminal's reach: it ends when we say so, or when we are no more."""
    return _start_own(own_command(words), respawn.environment(env), signals)


def own_command(words: Sequence[str]) -> list[str]:
    """A command of this program, as words; where the system needs it, one that watches its standard input."""
    return respawn.command(*words, module="biot_sidecar.cli.lifeline" if LIFELINE else "biot_sidecar")


def finish(child: Child, signals: Signals, *others: Child) -> int:
    """Tell a child to end and wait until it has; a signal to us means haste and is told too. Its status."""
    child.send(signal.SIGTERM)
    while child.status is None:
        number, _ = signals.next()
        if number == CHILD_ENDED:
            reap(child, *others)
        elif number in HURRYING:
            child.send(signal.SIGTERM)
    return child.status
