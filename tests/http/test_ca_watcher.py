"""Files of trusted CAs are read again when their content changes; bad ones change nothing."""

from __future__ import annotations

import ssl

import pytest
from biot_sidecar.http.ca_watcher import CaWatcher
from biot_sidecar.http.tls import tls_context
from biot_sidecar.settings import UpstreamUrl

from tests.http.test_upstream_pool import answer_each, exchange
from tests.http.wires import Wires, server
from tests.support.authority import Authority


@pytest.fixture
def watching(tmp_path):
    """A watcher of a file, and what it told and replaced."""

    def make(**files: str) -> tuple[CaWatcher, list[tuple[str, str]], list[ssl.SSLContext]]:
        told, contexts = [], []
        upstream = UpstreamUrl(tls=True, host="x", port=1, authority=b"x", prefix=b"", **files)
        watcher = CaWatcher(upstream)
        watcher.replaced = contexts.append
        watcher.log = lambda level, event, message: told.append((level, message))
        return watcher, told, contexts

    return make


def certificates(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509"]


async def test_a_file_is_read_again_when_its_content_has_changed_or_somebody_asks(watching, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old, new = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    file = tmp_path / "cas.pem"
    file.write_bytes(old.ca_file.read_bytes())
    watcher, told, contexts = watching(ca_file=str(file))
    await watcher.poll()
    assert (told, contexts) == ([], [])
    file.write_bytes(old.ca_file.read_bytes() + new.ca_file.read_bytes())
    await watcher.poll()
    await watcher.poll()
    assert [certificates(one) for one in contexts] == [2]
    watcher.request_reload()
    await watcher.poll()
    await watcher.poll()
    assert len(contexts) == 2
    assert {level for level, _ in told} == {"info"}


@pytest.mark.parametrize("bad", [b"", b"nonsense", None])
async def test_a_file_without_a_good_certificate_leaves_the_cas_in_force_and_is_told_once(bad, watching, tmp_path):
    authority, file = Authority(tmp_path), tmp_path / "cas.pem"
    file.write_bytes(authority.ca_file.read_bytes())
    watcher, told, contexts = watching(extra_ca_file=str(file))
    if bad is None:
        file.unlink()
    else:
        file.write_bytes(bad)
    await watcher.poll()
    await watcher.poll()
    assert contexts == []
    ((level, message),) = told
    assert level == "error"
    assert message.startswith("SIDECAR_EXTRA_CA_FILE: ")
    assert message.endswith("the CAs in force stay")
    file.write_bytes(authority.ca_file.read_bytes())
    await watcher.poll()
    assert len(contexts) == 1


async def test_good_certificates_count_beside_damaged_ones_with_a_warning(watching, tmp_path):
    authority, file = Authority(tmp_path), tmp_path / "cas.pem"
    file.write_bytes(authority.ca_file.read_bytes())
    watcher, told, contexts = watching(ca_file=str(file))
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + authority.ca_file.read_bytes())
    await watcher.poll()
    assert [certificates(one) for one in contexts] == [1]
    assert ("warning", f"SIDECAR_CA_FILE: '{file}': 1 of 2 certificates are damaged and not trusted") in told


def test_extra_cas_are_trusted_beside_whatever_is_in_force(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    system = certificates(tls_context(None))
    assert certificates(tls_context(None, str(one.ca_file))) == system + 1
    assert certificates(tls_context(str(one.ca_file), str(other.ca_file))) == 2
    assert certificates(tls_context(str(one.ca_file), str(one.ca_file))) == 1


async def test_new_cas_are_used_by_the_next_call_and_connections_of_before_go(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old, new = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    async with server(answer_each, old.server_context()) as port:
        wires = Wires(port, tls_context(str(old.ca_file)))
        await exchange(wires)
        wires.pool.trust(tls_context(str(new.ca_file)))
        assert wires.pool.idle == 0
        with pytest.raises(Exception, match="UNREACHABLE"):
            await exchange(wires)
        wires.pool.trust(tls_context(str(old.ca_file), str(new.ca_file)))
        await exchange(wires)
        wires.pool.close()
