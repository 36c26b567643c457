"""The system's CAs are trusted alike, whether they are read at once or looked up."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from pathlib import Path

import pytest
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http import system_cas
from biot_sidecar.http.system_cas import certificates_in, holds_all, trust_system
from biot_sidecar.http.tls import tls_context

from tests.http.wires import Wires, server
from tests.support.authority import Authority

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps its CAs in a store")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ{}\n-----END CERTIFICATE-----\n"


SUBJECT = ((("commonName", "test authority"),),)


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
        connection = await Wires(port, context).dial()
        connection.close()
    assert len(context.get_ca_certs()) == 1


async def test_a_start_reads_not_even_the_systems_file_and_the_first_handshake_does(system, monkeypatch):
    asked: list[ssl.SSLContext] = []
    monkeypatch.setattr(system_cas, "trust_system", lambda context: asked.append(context) or trust_system(context))
    context = tls_context(None, late=True)
    assert asked == []
    assert await dials(context, system)
    assert await dials(context, system)
    assert asked == [context]


async def test_what_could_not_be_read_at_the_first_handshake_is_read_at_the_next(system, tmp_path, monkeypatch):
    """Where no file can be opened, as when descriptors run out, OpenSSL would trust nobody and say nothing."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    good = system.ca_file.read_bytes()
    system.ca_file.write_bytes(b"")
    context = tls_context(None, late=True)
    assert not await dials(context, system)
    system.ca_file.write_bytes(good)
    assert await dials(context, system)


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
def amazon(system: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A system that has its file alone."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs" / "none"))
    return system


def brought(folder: Path, *authorities: Authority) -> Path:
    """What deploy/ca_folders.py makes of authorities."""
    for number, authority in enumerate(authorities):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / name_of("test authority")).write_bytes(authority.ca_file.read_bytes())
    listed = [f"{SUBJECT}\n".encode() + one.ca_file.read_bytes() for one in authorities]
    (folder / "certificates.pem").write_bytes(b"".join(listed))
    return folder


def trusting(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trust_system(context, str(folder))
    return context


def another(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


async def dials(context: ssl.SSLContext, authority: Authority) -> bool:
    """True if this one's server is trusted."""
    async with server(lambda reader, writer: reader.read(), authority.server_context()) as port:
        try:
            connection = await Wires(port, context).dial()
        except UpstreamError:
            return False
        connection.close()
        await asyncio.sleep(0)  # it closes in the next turn
        return True


async def test_where_the_system_has_no_folder_its_cas_are_looked_up_among_those_that_were_brought(amazon, tmp_path):
    context = trusting(brought(tmp_path / "ca", another(tmp_path / "other"), amazon))
    assert context.get_ca_certs() == []
    assert await dials(context, amazon)
    assert len(context.get_ca_certs()) == 1


async def test_a_ca_that_was_brought_is_not_trusted_for_that(amazon, tmp_path):
    other = another(tmp_path / "other")
    context = trusting(brought(tmp_path / "ca", amazon, other))
    assert not await dials(context, other)


async def test_a_ca_of_the_system_that_was_not_brought_is_read(amazon, tmp_path, monkeypatch):
    new, mounted = another(tmp_path / "new"), tmp_path / "mounted.pem"
    mounted.write_bytes(amazon.ca_file.read_bytes() + new.ca_file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(mounted))
    context = trusting(brought(tmp_path / "ca", amazon))
    assert len(context.get_ca_certs()) == 2  # they share a name, and of those OpenSSL would look up the first
    assert await dials(context, new)
    assert await dials(context, amazon)


async def test_a_file_of_the_system_that_is_damaged_is_left_to_openssl_which_trusts_none_of_it(
    amazon, tmp_path, monkeypatch
):
    mounted = tmp_path / "mounted.pem"
    mounted.write_bytes(amazon.ca_file.read_bytes() + CERTIFICATE.format("A").encode())
    monkeypatch.setenv("SSL_CERT_FILE", str(mounted))
    assert not await dials(ssl.create_default_context(), amazon)
    assert not await dials(trusting(brought(tmp_path / "ca", amazon)), amazon)


async def test_a_system_without_a_file_is_asked_as_ever_whatever_was_brought(amazon, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert not await dials(trusting(brought(tmp_path / "ca", amazon)), amazon)


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
    assert holds_all(str(folder), certificates_in(str(file)))


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
    assert not holds_all(str(folder), certificates_in(str(file)))
