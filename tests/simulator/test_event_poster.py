"""The client that POSTs events, against plugins on real sockets that answer in every way HTTP allows, and in others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from biot_sidecar.simulator.event_poster import post_event

HEADERS = {"hooktype": "NOTIFICATION", "traceparent": "00-1-2-01"}


@asynccontextmanager
async def plugin(reply: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """One that answers so and closes; its URL and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        heard.append(head + await reader.readexactly(length))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?x=1", heard


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1} ', (200, {"a": 1})),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n", (200, [1])),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", (200, {})),  # ends with the connection
        (b"HTTP/1.0 500 Oh\r\nContent-Type: text/html\r\n\r\n<p>", (500, None)),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", (204, None)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", (302, None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 more", (200, {})),
    ],
)
async def test_a_plugins_answer_is_read_to_its_end(reply, told):
    async with plugin(reply) as (url, _):
        assert await post_event(url, {}, HEADERS) == told


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_what_is_no_whole_answer_is_an_error_with_its_reason(reply):
    async with plugin(reply) as (url, _):
        with pytest.raises(ConnectionError, match=r"no HTTP response|broke off"):
            await post_event(url, {}, HEADERS)


async def test_the_event_goes_out_as_biots_do():
    async with plugin(b"HTTP/1.1 204 No Content\r\n\r\n") as (url, heard):
        await post_event(url, {"data": "ä"}, HEADERS)
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"data": "ä"}
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /hook?x=1 HTTP/1.1"
    for field in (b"hooktype: NOTIFICATION", b"traceparent: 00-1-2-01", b"content-type: application/json"):
        assert field in fields
    assert any(field.startswith(b"user-agent: ReactorNetty/") for field in fields)


async def test_nobody_at_the_address_is_an_error():
    with pytest.raises(OSError, match="refused"):
        await post_event("http://127.0.0.1:9", {}, HEADERS)
