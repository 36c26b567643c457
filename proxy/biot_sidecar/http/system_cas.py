"""The system's CAs, where they cost a start least: looked up by name at the handshake, if a folder allows it.

Reading the web's CAs from their one file takes a third of a start. Debian, Alpine and others keep them in a folder as
well, each under a hash of its subject (openssl-rehash(1)), where OpenSSL finds the few that a handshake asks for. The
file is left alone only if each of its certificates lies in the folder, too: many mount a file of their own over it.

Amazon Linux, so AWS Lambda, has only the file. A bundle for it brings the web's CAs, each in a folder of its own
(deploy/ca_folders.py). The system's file still says who is trusted: those of its CAs that were brought are looked up,
the others are read, and a CA that was brought and is not in the file is not looked up. So what was brought may be old.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from biot_sidecar.platform import OPEN_AT_ONCE
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.ca_file import MOST

BROUGHT: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "ca")
_LIST: Final = "certificates.pem"
"""Within BROUGHT: the certificate of each folder by number, its subject in the line before."""
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_ANY_BEGIN: Final = b"-----BEGIN "
_LARGEST: Final = 64 * 1024
"""Bytes of a file in the folder that are read."""


class SystemTrust(ssl.SSLContext):
    """Trusts the system's CAs from its first handshake on, which no start has to wait for."""

    _trusts = False

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        self._trusts = self._trusts or trust_system(self)
        return super().wrap_bio(*arguments, **named)


def trust_system(context: ssl.SSLContext, brought: str = BROUGHT) -> bool:
    """Trust what SSLContext.load_default_certs would. False if the file cannot be read now: no descriptor is left."""
    paths = ssl.get_default_verify_paths()
    certificates = certificates_in(paths.cafile) if paths.cafile else frozenset()
    if paths.capath and holds_all(paths.capath, certificates):
        context.load_verify_locations(capath=paths.capath)
    elif brought_along := certificates_brought(certificates, brought):
        _look_up(context, brought_along, certificates - brought_along.keys())
        if paths.capath:
            context.load_verify_locations(capath=paths.capath)
    else:
        before = context.cert_store_stats()
        context.load_default_certs()
        return not paths.cafile or context.cert_store_stats() != before
    return True


def _look_up(context: ssl.SSLContext, brought: Mapping[bytes, tuple[bytes, str]], others: Set[bytes]) -> None:
    """Trust these certificates, and the others."""
    try:
        _read(context, others)
    except (OSError, ValueError):  # ssl.SSLError is an OSError: one of them is damaged
        return context.load_default_certs()
    # With a CA of that name before it, OpenSSL looks no further (X509_STORE_CTX_get_by_subject).
    names = {repr(one["subject"]).encode() for one in context.get_ca_certs()}
    _read(context, {certificate for certificate, (name, _) in brought.items() if name in names})
    if folders := [folder for name, folder in brought.values() if name not in names]:
        context.load_verify_locations(capath=os.pathsep.join(folders))
    return None


def _read(context: ssl.SSLContext, certificates: Set[bytes]) -> None:
    if certificates:
        text = b"".join(b"%b\n%b\n%b\n" % (_BEGIN, one, _END) for one in certificates)
        context.load_verify_locations(cadata=text.decode("ascii"))


def certificates_in(file: str) -> frozenset[bytes]:
    """The certificates of a file; none if it cannot be read, or holds one in a form that is rare."""
    try:
        text = read_file(file, MOST)
    except (OSError, ValueError):
        return frozenset()
    if text.count(_ANY_BEGIN) != text.count(_BEGIN):
        return frozenset()
    return frozenset(_certificates(text))


def holds_all(folder: str, certificates: Set[bytes]) -> bool:
    """True if there are any, and each lies in the folder under a name by which OpenSSL looks it up."""
    left = set(certificates)
    try:
        for name in filter(_is_hash, os.listdir(folder)):
            left.difference_update(_certificates(_content(os.path.join(folder, name))))
    except (OSError, ValueError):
        return False
    return bool(certificates) and not left


def certificates_brought(certificates: Set[bytes], brought: str) -> dict[bytes, tuple[bytes, str]]:
    """Of these certificates, those that were brought along: each with its subject, and the folder where it lies."""
    if not certificates or os.pathsep in brought:
        return {}
    try:
        text = read_file(os.path.join(brought, _LIST), MOST)
    except (OSError, ValueError):
        return {}
    subjects = (part.rpartition(_END)[2].strip() for part in text.split(_BEGIN))
    found = enumerate(zip(_certificates(text), subjects, strict=False))
    return {
        certificate: (subject, os.path.join(brought, str(number)))
        for number, (certificate, subject) in found
        if certificate in certificates
    }


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
