"""Makes the judge of callers, and refuses a start where it could not be held to what SIDECAR_ALLOWED_UIDS says."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from biot_sidecar.errors import BadSettings
from biot_sidecar.http.allowed_callers import AllowedCallers, ambiguous_uid
from biot_sidecar.platform import UNIX_FAMILY, WHY_NO_PEER_UID, own_uid, uid_map, why_peers_untold
from biot_sidecar.settings import Settings
from biot_sidecar.settings.addresses import is_loopback
from biot_sidecar.settings.names import ALLOWED_UIDS


def make_allowed_callers(settings: Settings) -> AllowedCallers | None:
    """Who may call; None: anybody."""
    if settings.allowed_uids is None:
        return None
    if WHY_NO_PEER_UID:
        raise BadSettings([f"{ALLOWED_UIDS}: {WHY_NO_PEER_UID}"])
    return AllowedCallers(settings.allowed_uids, own=own_uid(), overflow=ambiguous_uid(*uid_map()))


def refuse_unknown_callers(settings: Settings, sockets: Iterable[socket.socket]) -> None:
    """Raises BadSettings where callers' users cannot be known, for all that listens at `sockets`."""
    if settings.allowed_uids is None:
        return
    tcp = [sock for sock in sockets if sock.family != UNIX_FAMILY]
    for sock in tcp:
        if not is_loopback(host := sock.getsockname()[0]):
            raise BadSettings([f"{ALLOWED_UIDS}: {host} is not loopback: of callers from elsewhere no user is known"])
    if tcp and (reason := why_peers_untold()):
        raise BadSettings(
            [f"{ALLOWED_UIDS}: this system does not tell who connects over TCP ({reason}); listen at unix:PATH instead"]
        )


def warning_about_callers(settings: Settings) -> str | None:
    """A listed user that can never be told from others."""
    if settings.allowed_uids is None or (overflow := ambiguous_uid(*uid_map())) not in settings.allowed_uids:
        return None
    return f"{ALLOWED_UIDS}: {overflow} stands for every user that this user namespace does not map, so it may not call"
