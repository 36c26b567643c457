"""What a simulator is started with: frozen options, and the clock it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from biot_sidecar.settings.secret import Secret
from biot_sidecar.simulator.faults import Fault

Clock = Callable[[], float]
"""Wall-clock seconds since the epoch."""

DEFAULT_SERVICE_USER_ID = "00000000-0000-4000-8000-000000000001"
DEFAULT_SECRET = "simulator-secret"
"""No secret at all: it is printed and documented."""


@dataclass(frozen=True)
class SimulatorOptions:
    """The one service user the simulator knows, how long its tokens live (seconds), and the faults from the start.

    BioT publishes neither how many failed logins lock a service user nor for how long: `lock_after` failures in a
    row lock it for `lock_seconds` here. `history` is how many requests and interceptions are remembered. Nor does it
    say how many secret keys a service user may have: two here.
    """

    service_user_id: str = DEFAULT_SERVICE_USER_ID
    secret: Secret = field(default_factory=lambda: Secret(DEFAULT_SECRET))
    token_life: float = 1800.0
    faults: tuple[Fault, ...] = ()
    lock_after: int = 5
    lock_seconds: float = 60.0
    history: int = 200
    max_secret_keys: int = 2
