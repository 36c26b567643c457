"""Reads the line that a started sidecar prints: `biot-sidecar ready on ADDRESS, ADDRESS -> URL`."""

from __future__ import annotations

from typing import Final

_BEGINNING: Final = "biot-sidecar ready on "
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def listen_addresses(line: str) -> list[str]:
    """The addresses that it listens at, as users write them; none if the line is no ready line."""
    listed, arrow, _ = line.rpartition(" -> ")
    return listed.removeprefix(_BEGINNING).split(", ") if arrow and listed.startswith(_BEGINNING) else []


def first_base_url(line: str) -> str | None:
    """What a client on this machine calls, by the ready line; None if there is no such address, or the line is none."""
    return next(filter(None, map(base_url, listen_addresses(line))), None)


def base_url(address: str) -> str:
    """What a client on this machine calls; empty for a unix socket, which no URL can name."""
    if address.startswith("unix:"):
        return ""
    host, _, port = address.rpartition(":")
    return f"http://{_EVERY_ADDRESS.get(host, host)}:{port}"
