"""Makes the judge of callers, and refuses a start where it could not be held to what SIDECAR_ALLOWED_UIDS says."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable

from biot_sidecar.errors import BadSettings
from biot_sidecar.http.allowed_callers import AllowedCallers, ambiguous_uid
from biot_sidecar.http.peer_credentials import why_untold
from biot_sidecar.settings import Settings
from biot_sidecar.settings.addresses import is_loopback
from biot_sidecar.settings.names import ALLOWED_UIDS


def make_allowed_callers(settings: Settings) -> AllowedCallers | None:
    """Who may call; None: anybody."""
    if settings.allowed_uids is None:
        return None
    if sys.platform == "win32":
        raise BadSettings([f"{ALLOWED_UIDS}: this system has no uids"])
    return AllowedCallers(settings.allowed_uids, own=os.geteuid(), overflow=_overflow())


def refuse_unknown_callers(settings: Settings, sockets: Iterable[socket.socket]) -> None:
    """Raises BadSettings where callers' users cannot be known, for all that listens at `sockets`."""
    if settings.allowed_uids is None or sys.platform == "win32":
        return
    tcp = [sock for sock in sockets if sock.family != socket.AF_UNIX]
    for sock in tcp:
        if not is_loopback(host := sock.getsockname()[0]):
            raise BadSettings([f"{ALLOWED_UIDS}: {host} is not loopback: of callers from elsewhere no user is known"])
    if tcp and (reason := why_untold()):
        raise BadSettings(
            [f"{ALLOWED_UIDS}: this system does not tell who connects over TCP ({reason}); listen at unix:PATH instead"]
        )


def warning_about_callers(settings: Settings) -> str | None:
    """A listed user that can never be told from others."""
    if settings.allowed_uids is None or (overflow := _overflow()) not in settings.allowed_uids:
        return None
    return f"{ALLOWED_UIDS}: {overflow} stands for every user that this user namespace does not map, so it may not call"


def _overflow() -> int | None:
    return ambiguous_uid(_read("/proc/self/uid_map"), _read("/proc/sys/kernel/overflowuid") or "65534")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""  # nothing is known to be mapped
