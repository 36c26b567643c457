"""A network for each module, and programs that run in it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.network.name_server import NameServer
from tests.network.namespace import Namespace
from tests.support import wants
from tests.support.authority import Authority
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import House, start_sidecar

NAME = "api.biot.test"


class Upstream(ScriptedUpstream):
    """BioT at addresses of the network."""

    def __init__(self, network: Network, *addresses: str, port: int = 443, **more: object) -> None:
        super().__init__(network.authority.server_context(NAME), **more)
        self._where = [(network.namespace, address) for address in addresses]
        self.port = port
        self._reserved = ExitStack()  # the servers, which end with it

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    async def __aenter__(self) -> Upstream:
        await self.listen()
        return self

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for namespace, address in self._where:
            sock = namespace.socket(address, self.port)
            server = await loop.create_server(self.protocol, sock=sock, ssl=self.tls, backlog=1024)
            self._reserved.callback(server.close)


class NetworkHouse(House):
    """Its clients are outside the network, so they come by a unix socket."""

    path = ""

    async def client(self, *, receive_buffer: int | None = None) -> RawClient:
        client = await RawClient.open_unix(self.path)
        self.clients.append(client)
        return client


@dataclass
class Network:
    """Where BioT lies, who says so, and whom to trust."""

    namespace: Namespace
    names: NameServer
    authority: Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    for name in ("unshare", "nsenter", "ip"):
        wants.program(name)
    one = Namespace(tmp_path_factory.mktemp("network"))
    yield one
    one.close()


@pytest_asyncio.fixture(loop_scope="module")
async def network(namespace: Namespace, authority: Authority) -> AsyncIterator[Network]:
    names = await NameServer.listening(namespace.socket("127.0.0.1", 53, socket.SOCK_DGRAM))
    yield Network(namespace, names, authority)
    names.close()


Start = Callable[..., Awaitable[NetworkHouse]]


@pytest_asyncio.fixture(loop_scope="module")
async def start(network: Network, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a program in the network: `await start(upstream, SIDECAR_UPSTREAM_MAX_AGE="1s")`."""
    async with AsyncExitStack() as stack:

        async def begin(upstream: ScriptedUpstream, **settings: str) -> NetworkHouse:
            await stack.enter_async_context(upstream)
            path = str(tmp_path / "socket")
            sidecar = await start_sidecar(
                tmp_path,
                upstream.url,
                wrapper=network.namespace.enter,
                **{
                    "SIDECAR_LISTEN": f"unix:{path},127.0.0.1:0",
                    "SIDECAR_CA_FILE": str(network.authority.ca_file),
                    "SIDECAR_LOGIN_AT_START": "0",
                    **settings,
                },
            )
            house = NetworkHouse(sidecar, upstream)
            house.path = path
            stack.push_async_callback(sidecar.stop)
            stack.push_async_callback(house.tidy)
            return house

        yield begin
