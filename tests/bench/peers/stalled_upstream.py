"""An upstream over TLS that answers at once, but reads no more of an upload than its head until a SIGUSR1 comes."""

import asyncio
import signal
import socket
import ssl
import sys

LARGE = 1_000_000
"""Bytes of a body that is an upload."""


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: bytes, read_on: asyncio.Event
) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
        if left >= LARGE:
            await read_on.wait()
        while left:
            left -= len(await reader.read(left))
        body = login if b"/accessToken" in head else b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)


async def main(port: str, certificate: str, login: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    read_on = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, read_on.set)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer, login.encode(), read_on)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    sock = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)  # else the kernel holds megabytes of each upload
    server = await asyncio.start_server(play, sock=sock, ssl=context)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
