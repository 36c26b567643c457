"""How BioT is recognised: TLS 1.2 or newer, always verified."""

from __future__ import annotations

import ssl

from proxy.errors import BadSettings


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the system's CAs, or only those in `ca_file`. Raises BadSettings.

    Not ssl.create_default_context: that one obeys SSLKEYLOGFILE and would write the session's keys to a file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    unreadable = False
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError):
        unreadable = True
    if unreadable:
        raise BadSettings([f"SIDECAR_CA_FILE: {ca_file} holds no certificates in PEM form"])
    return context
