"""The real program, killed before a step of a rotation: `python -m tests.support.killed NUMBER rotate-secret`."""

from __future__ import annotations

import os
import signal
import sys

from tests.support.rotation_world import Machine, System, take_place


class Doomed(Machine):
    """A machine whose process ends as by `kill -9`."""

    def step(self) -> None:
        self.steps += 1
        if self.dead:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    take_place(System(Doomed(int(sys.argv.pop(1)))), setattr)
    from biot_sidecar.__main__ import main

    sys.exit(main())
