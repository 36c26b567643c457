"""POSTs events to plugins: one connection for each, which the plugin's answer ends, no redirects and no proxy.

A client of our own on httptools, since the start of aiohttp's is a fifth of the simulator's (docs/decisions/0011).
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httptools

from biot_sidecar.http.deadlines import timeout
from biot_sidecar.simulator.values import Json

TIMEOUT: Final = 30.0
"""Seconds for an event; BioT does not publish its own."""
_AGENT: Final = "ReactorNetty/1.2.10"
"""How BioT's own calls introduce themselves."""
_PIECE: Final = 64 * 1024
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a plugin's answer."""
_PORTS: Final = {"http": 80, "https": 443}


async def post_event(url: str, event: Json, headers: Mapping[str, str]) -> tuple[int, Any]:
    """The plugin's status, and the JSON of its answer, None where it is none. Raises OSError, TimeoutError."""
    with timeout(TIMEOUT):
        return await _posted(urlsplit(url), json.dumps(event).encode(), headers)


async def _posted(url: SplitResult, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
    reader, writer = await _connected(url)
    try:
        writer.write(request_head(url, body, headers, connection="close") + body)
        answer = _Answer()
        while not answer.is_complete and (piece := await reader.read(_PIECE)):
            answer.feed(piece)
        return answer.at_end()
    finally:
        writer.close()


async def _connected(url: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure = ssl.create_default_context() if url.scheme == "https" else None
    try:
        return await asyncio.open_connection(url.hostname, url.port or _PORTS[url.scheme], ssl=secure)
    except ConnectionError as error:  # asyncio's text is about its own call
        number = error.errno or errno.ECONNREFUSED
    raise OSError(number, os.strerror(number))


def request_head(url: SplitResult, body: bytes, headers: Mapping[str, str], **last: str) -> bytes:
    """The head of the POST by which an event goes to a plugin; `last` are fields behind all others."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    fields = {
        "host": url.netloc.rpartition("@")[2],
        "user-agent": _AGENT,
        "accept": "*/*",
        "content-type": "application/json",
        **headers,
        "content-length": str(len(body)),
        **last,
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


class _Answer:
    """Reads one HTTP response; interim ones (RFC 9110, section 15.2) are read past."""

    def __init__(self) -> None:
        self.is_complete = False
        self._parser: Any = httptools.HttpResponseParser(self)
        self._status = 0
        self._is_framed = False
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        """Raises OSError for what is no HTTP, and for too much of it."""
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.is_complete = True  # of a status 101 that nobody asked for
        except httptools.HttpParserError:
            raise ConnectionError(0, "what came is no HTTP response") from None
        if len(self._body) > _LARGEST:
            raise ConnectionError(0, "the answer is too large")

    def at_end(self) -> tuple[int, Any]:
        """The answer when the connection has ended, too, which may be its end. Raises OSError for half an answer."""
        if not self.is_complete and not self._ends_with_connection():
            raise ConnectionError(0, "the answer broke off")
        try:
            return self._status, json.loads(self._body)
        except ValueError:
            return self._status, None

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.is_complete = self._status >= 200

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._is_framed |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_status(self, reason: bytes) -> None:
        """Called by the parser, as a response begins."""
        self._is_framed = False

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        self._body += piece

    def _ends_with_connection(self) -> bool:
        """RFC 9112, section 6.3: a body without a length ends with the connection."""
        return self._status >= 200 and not self._is_framed
