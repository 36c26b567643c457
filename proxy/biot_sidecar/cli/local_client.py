"""Asks the sidecar on this machine for one of the pages that it serves itself."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from biot_sidecar.errors import BadSettings
from biot_sidecar.platform import UNIX_FAMILY
from biot_sidecar.settings import load_listen
from biot_sidecar.settings.names import LISTEN
from biot_sidecar.settings.table import FLAGS
from biot_sidecar.settings.values import ListenAddress

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_LARGEST: Final = 16 * 1024 * 1024
_PIECE: Final = 65536


class Answer(NamedTuple):
    """`status` is 0 when something answered that does not speak HTTP/1."""

    status: int
    body: bytes

    def json(self) -> Any:
        """What the body says, or None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def get(address: ListenAddress, path: str, timeout: float) -> Answer:
    """Ask for `path`; `timeout` in seconds for each wait. Raises OSError."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    received = bytearray()
    with _connected(address, timeout) as sock:
        sock.sendall(request.encode())
        while len(received) < _LARGEST and (piece := sock.recv(_PIECE)):
            received += piece
    status = _STATUS.match(received)
    return Answer(int(status[1]) if status else 0, bytes(received.partition(b"\r\n\r\n")[2]))


def first_address(flags: Mapping[str, str], env: Mapping[str, str]) -> ListenAddress:
    """Where the sidecar listens. The other settings need not be there: whoever asks may not know them.

    Raises BadSettings.
    """
    address = load_listen(env, flags)[0]
    if not (address.path or address.port):
        name = FLAGS[LISTEN] if LISTEN in flags else LISTEN
        raise BadSettings([f"{name}: '{address}' is any free port, so nobody knows where to look; name a port"])
    return address


def why_not(error: OSError) -> str:
    """An error of `get` in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or "no connection"


def printable(text: str, most: int = 300) -> str:
    """Nothing in it steers a terminal."""
    return "".join(character for character in text if character.isprintable())[:most]


def _connected(address: ListenAddress, timeout: float) -> socket.socket:
    if not address.path:
        host = _EVERY_ADDRESS.get(address.host, address.host)
        return socket.create_connection((host, address.port), timeout)
    sock = socket.socket(UNIX_FAMILY, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(address.path)
    except OSError:
        sock.close()
        raise
    return sock
