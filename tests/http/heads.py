"""Heads for tests, in few words."""

from __future__ import annotations

from biot_sidecar.http.framing import request_head, response_head
from biot_sidecar.http.messages import RequestHead, ResponseHead


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"localhost") -> RequestHead:
    """A request head as the framing reads it; `host` None leaves Host out."""
    named = fields if host is None else (b"Host: " + host, *fields)
    return request_head(b"\r\n".join([line, *named, b"", b""]))


def response(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> ResponseHead:
    """An answer's head as the framing reads it, for a request of that method."""
    return response_head(b"\r\n".join([line, *fields, b"", b""]), method)
