"""A bundle's folders of CAs are named as OpenSSL looks them up, and hold what the building machine trusts."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from deploy import ca_folders
from tests.support import wants
from tests.support.authority import Authority

LONG = "A Name " * 9


def certificate_of(subject: x509.Name) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC).replace(tzinfo=None)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now)
    return builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        [[(NameOID.COMMON_NAME, "  Some \t  ROOT  ", _ASN1Type.UTF8String)]],
        [[(NameOID.COUNTRY_NAME, "HU", _ASN1Type.PrintableString)], [(NameOID.COMMON_NAME, "Főtanúsítvány Ä", None)]],
        [[(NameOID.ORGANIZATION_NAME, "Größe", _ASN1Type.BMPString), (NameOID.COMMON_NAME, "a", None)]],
        [[(NameOID.ORGANIZATION_NAME, "b" * 200, None), (NameOID.COMMON_NAME, "a", None)]],
        [[(NameOID.ORGANIZATION_NAME, LONG, None)], [(NameOID.ORGANIZATIONAL_UNIT_NAME, LONG, None)]],
        [[(NameOID.EMAIL_ADDRESS, "CA@Example.com", _ASN1Type.IA5String)]],
        [],
    ],
)
def test_a_subject_has_the_hash_under_which_openssl_looks_for_it(names, tmp_path):
    subject = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(oid, text, kind, _validate=False) for oid, text, kind in several]
            )
            for several in names
        ]
    )
    der = certificate_of(subject)
    (tmp_path / "one.der").write_bytes(der)
    command = [wants.program("openssl"), "x509", "-inform", "DER", "-in", str(tmp_path / "one.der"), "-noout"]
    asked = subprocess.run([*command, "-subject_hash"], capture_output=True, text=True, check=True)
    assert ca_folders.subject_hash(der) == asked.stdout.strip()


def test_each_ca_of_the_building_machine_lies_in_the_folder_of_its_number(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    ca_folders.main(tmp_path / "ca")
    listed = [
        f"-----BEGIN{text.rpartition('-----')[0]}-----\n"
        for text in (tmp_path / "ca" / "certificates.pem").read_text().split("-----BEGIN")[1:]
    ]
    assert authority.ca_file.read_text().strip() in (tmp_path / "ca" / "certificates.pem").read_text()
    for number, text in enumerate(listed):
        (file,) = (tmp_path / "ca" / str(number)).iterdir()
        assert file.read_text() == text
        assert file.name == ca_folders.subject_hash(ssl.PEM_cert_to_DER_cert(file.read_text())) + ".0"
    assert "Mozilla Public License" in (tmp_path / "ca" / "NOTICE").read_text()
    assert Path(tmp_path / "ca" / str(len(listed))).exists() is False
