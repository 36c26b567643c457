"""How BioT is recognised."""

from __future__ import annotations

import ssl

import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.http.tls import certified_name, tls_context

from tests.support import wants
from tests.support.authority import Authority
from tests.support.client_hello import SESSION_TICKET, X25519_MLKEM768, ClientHello, parse_client_hello


def test_certificates_and_names_are_always_verified_and_old_tls_is_not_spoken(tmp_path):
    for context in (tls_context(None), tls_context(str(Authority(tmp_path).ca_file))):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_ca_file_replaces_the_systems_authorities(tmp_path):
    assert len(tls_context(str(Authority(tmp_path).ca_file)).get_ca_certs()) == 1


def test_a_key_log_in_the_environment_has_no_effect(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert tls_context(None).keylog_filename is None
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_holds_none_is_named(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSettings) as caught:
        tls_context(str(file))
    assert caught.value.problems == [f"SIDECAR_CA_FILE: {file} holds no certificates in PEM form"]


def test_names_count_where_certificates_keep_them_and_what_is_trusted_needs_nobody_above_it(tmp_path):
    context = tls_context(str(Authority(tmp_path).ca_file))
    assert not context.hostname_checks_common_name
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_a_damaged_certificate_does_not_take_the_good_ones_along(tmp_path):
    file = Authority(tmp_path).ca_file
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + file.read_bytes())
    assert len(tls_context(str(file)).get_ca_certs()) == 1


@pytest.mark.parametrize("before", [b"    ", b"CA: "])
def test_a_certificate_that_does_not_begin_its_line_counts_too(tmp_path, before):
    """As when it was cut out of a YAML file; OpenSSL passes over it in silence."""
    (tmp_path / "other").mkdir()
    file = Authority(tmp_path).ca_file
    lines = file.read_bytes().splitlines(keepends=True)
    if before.isspace():
        lines = [before + line for line in lines]
    file.write_bytes(before * (not before.isspace()) + b"".join(lines))
    assert len(tls_context(str(file)).get_ca_certs()) == 1
    file.write_bytes(file.read_bytes() + Authority(tmp_path / "other").ca_file.read_bytes())
    assert len(tls_context(str(file)).get_ca_certs()) == 2


@pytest.mark.parametrize("host", ["api.example", "api.example."])
def test_a_final_dot_of_a_name_stands_in_no_certificate(host):
    assert certified_name(host) == b"api.example"


def hello_of(context: ssl.SSLContext) -> ClientHello:
    """What a client with this context begins with."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="api.example").do_handshake()
    return parse_client_hello(outgoing.read())


def test_every_group_is_offered_that_openssl_offers_by_itself():
    ours, bare = hello_of(tls_context(None)), hello_of(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert (ours.groups, ours.key_shares) == (bare.groups, bare.key_shares)
    assert SESSION_TICKET in ours.extensions


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3, 5), reason=wants.reason("OpenSSL 3.5"))
def test_the_hybrid_group_with_ml_kem_is_offered_first_and_its_key_sent_at_once():
    """What is recorded today is not to be read once somebody has a quantum computer."""
    hello = hello_of(tls_context(None))
    assert hello.groups[0] == X25519_MLKEM768
    assert X25519_MLKEM768 in hello.key_shares
