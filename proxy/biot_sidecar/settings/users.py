"""SIDECAR_ALLOWED_UIDS: the users whose processes may call, by name or number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from biot_sidecar.platform import WHY_NO_PEER_UID, uid_of
from biot_sidecar.settings.addresses import is_loopback
from biot_sidecar.settings.values import ListenAddress

_LARGEST_UID: Final = 2**32 - 2  # the one above means "no uid" to the kernel


def parse_users(text: str) -> frozenset[int]:
    """The uids of a list such as `app,1000`. Raises ValueError with a sentence for the user."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError("names no user; write names or numbers, such as app,1000")
    return frozenset(map(_uid, names))


def _uid(name: str) -> int:
    if name.isascii() and name.isdecimal():
        if int(name) > _LARGEST_UID:
            raise ValueError(f"{name} is no uid; the largest is {_LARGEST_UID}")
        return int(name)
    try:
        return uid_of(name)
    except ValueError as error:
        reason = f"{name!r} {error}"
    raise ValueError(reason)


def why_callers_unknown(listen: Iterable[ListenAddress], lacking: str = WHY_NO_PEER_UID) -> str:
    """Why callers' users cannot be known where the sidecar is to run; empty where they can."""
    if lacking:
        return f"{lacking}; leave it unset here"
    for address in listen:
        if not (address.path or is_loopback(address.host)):
            return f"{address} is not loopback: of callers from elsewhere no user is known; use 127.0.0.1 or unix:PATH"
    return ""
