"""The system's CAs, where they cost a start least: looked up by name at the handshake, if a folder allows it.

Reading the web's CAs from their one file takes a third of a start. Debian, Alpine and others keep them in a folder as
well, each under a hash of its subject (openssl-rehash(1)), where OpenSSL finds the few that a handshake asks for. The
file is left alone only if each of its certificates lies in the folder, too: many mount a file of their own over it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Final

from biot_sidecar.platform import OPEN_AT_ONCE
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.ca_file import MOST

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_ANY_BEGIN: Final = b"-----BEGIN "
_LARGEST: Final = 64 * 1024
"""Bytes of a file in the folder that are read."""


def trust_system(context: ssl.SSLContext) -> None:
    """Trust what SSLContext.load_default_certs would."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile and paths.capath and holds_all(paths.capath, paths.cafile):
        context.load_verify_locations(capath=paths.capath)
    else:
        context.load_default_certs()


def holds_all(folder: str, file: str) -> bool:
    """True if each certificate of the file lies in the folder as well, under a name by which OpenSSL looks it up."""
    try:
        text = read_file(file, MOST)
        left = set(_certificates(text))
        if not left or text.count(_ANY_BEGIN) != text.count(_BEGIN):  # in a form that is rare
            return False
        for name in filter(_is_hash, os.listdir(folder)):
            left.difference_update(_certificates(_content(os.path.join(folder, name))))
    except (OSError, ValueError):
        return False
    return not left


def _is_hash(name: str) -> bool:
    """Eight digits, a dot, and a number for those that share them."""
    return name[8:9] == "." and name[9:].isdecimal()


def _content(path: str) -> bytes:
    # As regular_file.read_file, in half the instructions: there are 140 of them.
    file = os.open(path, os.O_RDONLY | OPEN_AT_ONCE)
    try:
        return os.read(file, _LARGEST)
    finally:
        os.close(file)


def _certificates(text: bytes) -> Iterator[bytes]:
    return (part.partition(_END)[0].strip() for part in text.split(_BEGIN)[1:])
