"""How BioT is recognised and spoken to: TLS 1.2 or newer, always verified."""

from __future__ import annotations

import contextlib
import ssl

from biot_sidecar.errors import BadSettings
from biot_sidecar.http.resolver import dns_name
from biot_sidecar.http.system_cas import SystemTrust, trust_system
from biot_sidecar.settings.ca_file import trust_file
from biot_sidecar.settings.names import CA_FILE, EXTRA_CA_FILE


def tls_context(ca_file: str | None, extra_ca_file: str | None = None, *, late: bool = False) -> ssl.SSLContext:
    """Trusts the system's CAs, or only those in `ca_file`, and those in `extra_ca_file`. Raises BadSettings.

    `late`: the system's are read with the first handshake. Not ssl.create_default_context: that one obeys
    SSLKEYLOGFILE and would write the session's keys to a file.
    """
    kind = SystemTrust if late and ca_file is None else ssl.SSLContext
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # in TLS 1.2 a write would have to wait for it
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        context.hostname_checks_common_name = False  # RFC 9525, section 2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate that is trusted needs no root
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None and not late:
        trust_system(context)
    for name, path in ((CA_FILE, ca_file), (EXTRA_CA_FILE, extra_ca_file)):
        if path is not None:
            _trust(context, name, path)
    return context


def _trust(context: ssl.SSLContext, name: str, path: str) -> None:
    """Raises BadSettings."""
    good = 0
    with contextlib.suppress(OSError, ValueError):
        good, _ = trust_file(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)  # those that are trusted already count too
        trust_file(context, path)
    if not good:
        raise BadSettings([f"{name}: {path} holds no certificates in PEM form"])


def describe_handshake(tls: ssl.SSLObject) -> str:
    """What a handshake agreed on: protocol, cipher, group where Python tells it (3.15), and whether it resumed."""
    cipher = tls.cipher()
    group = getattr(tls, "group", lambda: None)()
    agreed = [tls.version(), cipher and cipher[0], group, "resumed" if tls.session_reused else "not resumed"]
    return ", ".join(filter(None, agreed))


def certified_name(host: str) -> str | bytes:
    """The name in certificates and in the handshake: a final dot is DNS's alone (RFC 6066, section 3)."""
    return dns_name(host.removesuffix("."))
