"""What the inspector may show of header fields: names always, values only where they cannot hold a secret."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from biot_sidecar.http.messages import Headers

FIELDS_MOST: Final = 100
TEXT_MOST: Final = 200

# An allow-list: of a name nobody here has heard of, nobody knows what its value is.
# fmt: off
HARMLESS: Final = frozenset({
    "accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "age", "allow",
    "allow-interception", "alt-svc", "cache-control", "connection", "content-encoding", "content-language",
    "content-length", "content-range", "content-type", "date", "etag", "expect", "expires", "host", "keep-alive",
    "last-modified", "proxy-status", "range", "retry-after", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site",
    "server", "strict-transport-security", "te", "traceparent", "trailer", "transfer-encoding", "upgrade",
    "user-agent", "vary", "via", "www-authenticate", "x-cache", "x-content-type-options", "x-frame-options",
})
# fmt: on
ADDRESSES: Final = frozenset({"location", "content-location", "origin", "referer"})
"""Of these only the origin is shown: paths hold ids, queries hold anything."""


class Field(msgspec.Struct, frozen=True):
    """A header field; `value` is None where it is masked."""

    name: str
    value: str | None


def shown_fields(headers: Headers) -> tuple[Field, ...]:
    """The fields in wire order, at most FIELDS_MOST of them."""
    return tuple(_shown(name, value) for name, value in headers[:FIELDS_MOST])


def _shown(name: bytes, value: bytes) -> Field:
    text = name.decode("latin-1")
    lowered = text.lower()
    if lowered in HARMLESS:
        return Field(_short(text, TEXT_MOST), _short(value.decode("utf-8", "replace"), TEXT_MOST))
    if lowered in ADDRESSES:
        return Field(text, _origin(value))
    return Field(_short(text, TEXT_MOST), None)


def _origin(value: bytes) -> str | None:
    """`https://host/…` of an address; None if it has no such beginning."""
    try:
        parts = urlsplit(value.decode("ascii"))
        host = parts.hostname
        port = parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in {"http", "https"}:
        return None
    host = f"[{host}]" if ":" in host else host
    return _short(f"{parts.scheme}://{host}{'' if port is None else f':{port}'}/…", TEXT_MOST)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
