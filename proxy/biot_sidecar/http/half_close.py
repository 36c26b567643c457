"""Tells a client that disconnected from one that half-closed: on the wire both look alike, Linux knows more.

A client on this machine that shuts down its sending side (`nc -N`, `ncat`, many a test) still waits for its answer. Of
one on another machine, or in another network namespace, nothing can be known: it counts as gone, as it does to Envoy,
nginx and Go's servers, so that BioT does not work for nobody.
"""

from __future__ import annotations

import asyncio

from biot_sidecar.platform import far_side


def is_disconnected(transport: asyncio.Transport) -> bool:
    """True when the client will say no more, and is not known to wait for an answer still."""
    return far_side(transport) == "gone"


def is_half_closed(transport: asyncio.Transport) -> bool:
    """True when a client that will say no more is known to wait for what it is told."""
    return far_side(transport) == "half-closed"
