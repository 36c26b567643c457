"""Which users' processes may call (SIDECAR_ALLOWED_UIDS), given whose process the kernel says it is.

Root has no privilege. The sidecar's own user may ask whether it is well, listed or not, and nothing else. In a user
namespace that does not map every uid the kernel tells all the others by one number, the overflow uid
(user_namespaces(7)): that number is nobody's there, not even if it is listed.
"""

from __future__ import annotations

from typing import Final

from biot_sidecar.http.error_catalogue import caller_refused

HEALTH_PATHS: Final = frozenset({b"/healthz", b"/readyz", b"/metrics", b"/_sidecar/status"})
_ALL_UIDS: Final = 2**32 - 1


class AllowedCallers:
    """`overflow` is the number that means "some uid or other" here; None where all are mapped."""

    def __init__(self, uids: frozenset[int], *, own: int, overflow: int | None) -> None:
        self._uids = uids - {overflow}
        self._own = None if own == overflow else own

    def admit(self, uid: int, local_path: bytes | None) -> None:
        """Raises ClientError unless this user may ask. `local_path` is one of the sidecar's own, or None for BioT's."""
        if uid in self._uids or (uid == self._own and local_path in HEALTH_PATHS):
            return
        raise caller_refused()


def ambiguous_uid(uid_map: str, overflow_uid: str) -> int | None:
    """The overflow uid where it may stand for several users; None where every uid is mapped.

    The arguments are what /proc/self/uid_map and /proc/sys/kernel/overflowuid hold.
    """
    mapped = sum(int(line.split()[2]) for line in uid_map.splitlines())
    return None if mapped >= _ALL_UIDS else int(overflow_uid)
