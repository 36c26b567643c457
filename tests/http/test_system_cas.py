"""The system's CAs are trusted alike, whether they are read at once or looked up."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.system_cas import holds_all
from biot_sidecar.http.tls import tls_context

from tests.http.wires import Wires, server
from tests.support.authority import Authority

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps its CAs in a store")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ{}\n-----END CERTIFICATE-----\n"


def name_of(common_name: str) -> str:
    """The hash of a subject that is one common name in lower case (X509_NAME_hash(3))."""
    text = common_name.encode()
    value = b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    pair = b"\x30" + bytes([len(value)]) + value
    digest = hashlib.sha1(b"\x31" + bytes([len(pair)]) + pair).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A system that trusts this authority: in its file, and by hash in its folder."""
    authority = Authority(tmp_path)
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / name_of("test authority")).write_bytes(authority.ca_file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    return authority


async def test_a_start_reads_no_certificate_that_lies_in_the_folder_and_the_handshake_finds_it(system):
    context = tls_context(None)
    assert context.get_ca_certs() == []
    async with server(lambda reader, writer: reader.read(), system.server_context()) as port:
        wires = Wires(port, context)
        await wires.dial()
    assert len(context.get_ca_certs()) == 1


async def test_who_is_in_neither_is_trusted_by_neither(system, tmp_path):
    (tmp_path / "other").mkdir()
    async with server(lambda reader, writer: reader.read(), Authority(tmp_path / "other").server_context()) as port:
        with pytest.raises(UpstreamError):
            await Wires(port, tls_context(None)).dial()


def test_a_file_that_was_put_in_the_systems_place_is_read(system, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    mounted = tmp_path / "mounted.pem"
    mounted.write_bytes(system.ca_file.read_bytes() + Authority(tmp_path / "other").ca_file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(mounted))
    assert len(tls_context(None).get_ca_certs()) == 2


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of two certificates, and the file of both."""
    folder, file = tmp_path / "certs", tmp_path / "file.pem"
    folder.mkdir()
    for number in range(2):
        (folder / f"0000000{number}.0").write_text("# its name\n" + CERTIFICATE.format(number))
    file.write_text("".join(map(CERTIFICATE.format, range(2))))
    return folder, file


def test_a_folder_holds_what_its_files_hold_whatever_stands_around_it(kept):
    folder, file = kept
    (folder / "00000001.1").write_text(CERTIFICATE.format(2))
    assert holds_all(str(folder), str(file))


def drop_one(folder: Path, file: Path) -> None:
    (folder / "00000001.0").unlink()


def name_it_otherwise(folder: Path, file: Path) -> None:
    (folder / "00000001.0").rename(folder / "Example_Root.pem")


def add_to_the_file(folder: Path, file: Path) -> None:
    file.write_text(file.read_text() + CERTIFICATE.format(2))


def add_in_another_form(folder: Path, file: Path) -> None:
    file.write_text(file.read_text() + CERTIFICATE.format(0).replace("CERTIFICATE", "TRUSTED CERTIFICATE"))


def cut_a_link(folder: Path, file: Path) -> None:
    (folder / "00000002.0").symlink_to("gone.pem")


def empty_the_file(folder: Path, file: Path) -> None:
    file.write_text("")


@pytest.mark.parametrize(
    "change", [drop_one, name_it_otherwise, add_to_the_file, add_in_another_form, cut_a_link, empty_the_file]
)
def test_a_folder_in_which_something_may_be_missing_holds_not_all(kept, change):
    folder, file = kept
    change(folder, file)
    assert not holds_all(str(folder), str(file))
