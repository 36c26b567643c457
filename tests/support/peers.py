"""nginx and haproxy in front of the same upstream, to see what others make of the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support import wants
from tests.support.rawclient import RawClient
from tests.support.wire import DEADLINE

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen unix:{folder}/nginx.sock;
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

_HAPROXY = """\
defaults
  mode http
  timeout connect 2s
  timeout client 3s
  timeout server 3s
frontend plugin
  bind unix@{folder}/haproxy.sock
  default_backend biot
backend biot
  server biot 127.0.0.1:{port}
"""


@asynccontextmanager
async def nginx(folder: Path, port: int) -> AsyncIterator[str]:
    """The path of nginx's socket."""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    async with _running(["nginx", "-e", str(folder / "nginx.log"), "-p", str(folder), "-c", str(config)], folder):
        yield await _until_open(folder / "nginx.sock")


@asynccontextmanager
async def haproxy(folder: Path, port: int) -> AsyncIterator[str]:
    """The path of haproxy's socket."""
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(folder=folder, port=port))
    async with _running(["haproxy", "-f", str(config)], folder):
        yield await _until_open(folder / "haproxy.sock")


@asynccontextmanager
async def _running(command: list[str], folder: Path) -> AsyncIterator[None]:
    program = wants.program(command[0])
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(program, *command[1:], stdout=out, stderr=out)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _until_open(path: Path) -> str:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                client = await RawClient.open_unix(str(path))
            except OSError:
                await asyncio.sleep(0.02)
                continue
            client.close()
            await client.wait_closed()
            return str(path)
