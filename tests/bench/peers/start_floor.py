"""The least that a proxy in Python can start with: asyncio, ssl and uvloop; with URL and CA also a login and a POST."""

import asyncio
import signal
import ssl
import sys

import uvloop


async def main(port: str = "", ca_file: str = "") -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(port), ssl=ssl.create_default_context(cafile=ca_file)
        )
        for path in ("/ums/v2/services/accessToken", "/organization/v1/users/patients"):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n"
            writer.write(head.encode() + b"{}")
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
    print("ready", flush=True)
    await stop.wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(*sys.argv[1:]))
