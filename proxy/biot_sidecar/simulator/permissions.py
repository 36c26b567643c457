"""What the service user may do (`simulate --scopes`): an operation whose permission it lacks answers 403 ACCESS_DENIED.

Which permission an operation needs is BioT's catalogue's (`catalogue`). Operations of which that is not known are
permitted, and so is whatever a person's token does: a person's rights are their role's, which is not simulated.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from biot_sidecar.routing import biot_operations
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import BiotError
from biot_sidecar.suggest import suggest

if TYPE_CHECKING:
    from biot_sidecar.simulator.tokens import Issued  # brings packages that parse() does without

_OF_NO_OPERATION: Final = frozenset({"ACTION_NOTIFICATION", "PLUGIN_INTERCEPTOR"})
"""Scopes that BioT's tokens name, too."""


def check(operation: Operation, issued: Issued | None) -> None:
    """Raises BioT's refusal unless the token's scopes hold what the operation needs."""
    if issued is None or operation.public or not issued.initiator.token_type.startswith("SERVICE"):
        return
    needed = _any_of(operation.permission)
    if needed and not needed.intersection(issued.scopes):
        raise BiotError(403, "ACCESS_DENIED", f"This needs the permission {operation.permission}")


def parse(text: str) -> tuple[str, ...]:
    """Permissions, comma-separated. Raises ValueError with the end of a sentence for one that BioT does not have."""
    given = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    there = known()
    for one in given:
        if one not in there:
            near = suggest(one, there)
            raise ValueError(f"BioT has no permission {one!r}" + (f"; did you mean {near}?" if near else ""))
    return given


def known() -> Collection[str]:
    """Every permission of the catalogue, in order."""
    needed = (_any_of(one.permission) for one in biot_operations.operations())
    return sorted(_OF_NO_OPERATION.union(*needed))


def _any_of(permission: str) -> frozenset[str]:
    """Of several permissions, comma-separated, any will do."""
    return frozenset(part.strip() for part in permission.split(",") if part.strip())
