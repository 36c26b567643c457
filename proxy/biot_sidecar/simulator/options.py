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

USER_PASSWORD = "simulator-password"
"""What every invented person logs in with."""

ORGANIZATION_ID = "33333333-3333-3333-3333-333333333333"
"""The organization that owns what names no owner."""

MANUFACTURER_ID = "00000000-0000-0000-0000-000000000000"
"""BioT's first organization, which owns the others and the service user; it has this id in every environment."""

SCOPES = ("PROTECTED_API", "ACTION_NOTIFICATION", "SETTINGS_SEARCH_INTERCEPTION_SUBSCRIPTION_CONFIGURATIONS")
"""The permissions that a token names."""


@dataclass(frozen=True)
class SimulatorOptions:
    """The one service user the simulator knows, how long its tokens live (seconds), and the faults from the start.

    BioT publishes neither how many failed logins lock a service user nor for how long: `lock_after` failures in a
    row lock it for `lock_seconds` here. `history` is how many requests and interceptions are remembered. Nor does it
    say how many secret keys a service user may have: two here. `lenient` lets bodies pass that BioT would refuse, with
    a warning; `scopes` are the permissions that the service user's tokens name, and if `only_scopes` all that it may
    do.
    """

    service_user_id: str = DEFAULT_SERVICE_USER_ID
    secret: Secret = field(default_factory=lambda: Secret(DEFAULT_SECRET))
    token_life: float = 1800.0
    faults: tuple[Fault, ...] = ()
    lock_after: int = 5
    lock_seconds: float = 60.0
    history: int = 200
    max_secret_keys: int = 2
    scopes: tuple[str, ...] = SCOPES
    only_scopes: bool = False
    lenient: bool = False
    user_password: str = USER_PASSWORD
