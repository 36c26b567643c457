"""The file of trusted CAs: good certificates count, damaged ones beside them do not."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from biot_sidecar.regular_file import read_file

if TYPE_CHECKING:
    import ssl

MOST: Final = 64 * 1024 * 1024
"""Bytes of the file that are read; the web's CAs are a quarter of a megabyte."""
# A block that was cut off ends where the next one begins (RFC 7468, section 2).
_BLOCK: Final = rb"(?s)-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.*?(?:-----END \1-----|(?=-----BEGIN )|\Z)"
# OpenSSL passes over what does not begin its line, and says nothing.
_WITHIN_LINE: Final = rb"[^\r\n]-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----"


def trust_file(context: ssl.SSLContext, path: str) -> tuple[int, int]:
    """Trust the certificates in a file; how many are good, and how many damaged. Raises OSError and ValueError."""
    text = read_file(path, MOST)
    before = context.cert_store_stats()["x509"]
    with contextlib.suppress(OSError):  # ssl.SSLError is one: something in it is damaged
        context.load_verify_locations(cafile=path)
        if not re.search(_WITHIN_LINE, text):
            return context.cert_store_stats()["x509"] - before, 0
    good = damaged = 0
    for block in re.finditer(_BLOCK, text):
        if _trust(context, block[0]):
            good += 1
        else:
            damaged += 1
    return good, damaged


def _trust(context: ssl.SSLContext, block: bytes) -> bool:
    lines = [line.strip() for line in block.splitlines()]  # indented, as in YAML
    try:
        context.load_verify_locations(cadata=b"\n".join(lines).decode("ascii"))
    except (OSError, ValueError):
        return False
    return True


def ca_file_problem(path: str) -> tuple[str, str]:
    """Why a file is no list of trusted CAs, and what is odd about one that is; empty if nothing is."""
    import ssl  # only where a CA file is set

    try:
        good, damaged = trust_file(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    except OSError as error:
        return f"{path!r} cannot be read: {error.strerror or 'no such thing'}", ""
    except ValueError:
        return "holds a NUL character", ""
    if damaged and not good:
        return f"{path!r} holds no certificates in PEM form that are not damaged", ""
    if not good:
        return f"{path!r} holds no certificates in PEM form", ""
    return "", f"{path!r}: {damaged} of {good + damaged} certificates are damaged and not trusted" if damaged else ""
