"""Makes the folders in which a bundle brings the web's CAs along: ca_folders.py FOLDER

http/system_cas.py says what for: the machine that runs the bundle says who is trusted, so these may be old. They are
what the machine that builds trusts, and what pip brings: Mozilla's list, under the Mozilla Public License 2.0.
"""

import contextlib
import hashlib
import importlib
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIST = "certificates.pem"
NOTICE = """\
Certificates of authorities that Mozilla's CA Certificate Program lists (https://wiki.mozilla.org/CA), subject to the
terms of the Mozilla Public License, version 2.0 (https://mozilla.org/MPL/2.0/). The sidecar only looks certificates of
the system's own list up here: whom it trusts, that list says, or SSL_CERT_FILE, or SIDECAR_CA_FILE.
"""
SEQUENCE, SET, CONTEXT_0, UTF8 = 0x30, 0x31, 0xA0, 0x0C
ENCODINGS = {
    UTF8: "utf-8",
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


def main(folder: Path) -> None:
    """Each certificate in a folder of its own, numbered as in the list of all, where its subject stands before it."""
    listed = ""
    for number, (certificate, subject) in enumerate(trusted()):
        pem = ssl.DER_cert_to_PEM_cert(certificate)
        place = folder / str(number)
        place.mkdir(parents=True)
        (place / f"{subject_hash(certificate)}.0").write_text(pem)
        listed += f"{subject}\n{pem}"
    (folder / LIST).write_text(listed)
    (folder / "NOTICE").write_text(NOTICE)


def trusted() -> list[tuple[bytes, str]]:
    """DER and subject of what this Python trusts where it runs, and of what its pip brings; but for those that share a
    subject: of several folders, OpenSSL would look no further than into the first.
    """
    found = {certificate: subject for file in lists() for certificate, subject in certificates_of(file)}
    count = Counter(found.values())
    return sorted((certificate, subject) for certificate, subject in found.items() if count[subject] == 1)


def lists() -> Iterator[str]:
    if system := ssl.get_default_verify_paths().cafile:
        yield system
    with contextlib.suppress(ImportError):
        yield importlib.import_module("pip._vendor.certifi").where()


def certificates_of(file: str) -> Iterator[tuple[bytes, str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    for certificate, described in zip(context.get_ca_certs(binary_form=True), context.get_ca_certs(), strict=True):
        yield certificate, repr(described["subject"])  # as http/system_cas.py writes it


def subject_hash(certificate: bytes) -> str:
    """The name, less its number, under which OpenSSL looks a certificate up (X509_NAME_hash(3))."""
    ((_, inside),) = elements(certificate)
    fields = [field for field in elements(next(elements(inside))[1]) if field[0] != CONTEXT_0]  # less the version
    subject = fields[4][1]  # after serial number, algorithm, issuer and validity
    canonical = b"".join(
        encoded(SET, b"".join(sorted(canonical_pair(pair) for _, pair in elements(names))))
        for _, names in elements(subject)
    )
    return f"{int.from_bytes(hashlib.sha1(canonical, usedforsecurity=False).digest()[:4], 'little'):08x}"


def canonical_pair(pair: bytes) -> bytes:
    """An attribute and its value, which is written alike however it was: in UTF-8, lower case, one space for many."""
    (of_kind, kind), (of_value, value) = elements(pair)
    if of_value in ENCODINGS:
        words = value.decode(ENCODINGS[of_value]).encode().lower().split()  # bytes: ASCII alone is folded
        of_value, value = UTF8, b" ".join(words)
    return encoded(SEQUENCE, encoded(of_kind, kind) + encoded(of_value, value))


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (ITU-T X.690, section 8.1)."""
    while der:
        length, start = der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        yield der[0], der[start : start + length]
        der = der[start + length :]


def encoded(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


if __name__ == "__main__":
    main(Path(sys.argv[1]))
