"""Keeps web pages of other sites away from what listens on this machine: a browser says where a call comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from biot_sidecar.settings import addresses

_FOREIGN: Final = frozenset({"cross-site", "same-site"})


def is_foreign_page(headers: Mapping[str, str], allowed_origins: Collection[str] = ()) -> bool:
    """Whether a page of another site makes this call (Fetch Metadata; RFC 6454, section 7)."""
    origin = headers.get("Origin")
    if origin in allowed_origins:
        return False
    if origin is not None and origin != f"http://{headers.get('Host', '')}":
        return True
    return headers.get("Sec-Fetch-Site") in _FOREIGN


def names_this_machine(host: str) -> bool:
    """Whether a Host names this machine by a loopback address or `localhost`: a rebound name does not."""
    try:
        return addresses.is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
