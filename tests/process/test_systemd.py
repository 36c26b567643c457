"""Sockets that systemd passes and states that it is told, with real descriptors and real datagrams."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.process.systemd import inherited_sockets, notify

ROOT = Path(__file__).resolve().parents[2]
ACTIVATED = """
import json, os, sys
from biot_sidecar.errors import BadSettings
from biot_sidecar.process.systemd import inherited_sockets
env = json.loads(sys.argv[1])
if env.get("LISTEN_PID") == "mine":
    env["LISTEN_PID"] = str(os.getpid())
try:
    sockets = inherited_sockets(env, os.getpid())
except BadSettings as error:
    print(json.dumps({"problems": error.problems}))
else:
    names = [s.getsockname() for s in sockets]
    flags = [(s.getblocking(), s.get_inheritable()) for s in sockets]
    print(json.dumps({"names": names, "flags": flags}))
"""


def activated(*descriptors: int, **env: str) -> dict[str, list[object]]:
    """What a process says of the descriptors that it got from 3 on, as systemd would pass them."""
    given = {"LISTEN_PID": "mine", "LISTEN_FDS": str(len(descriptors)), **env}

    def place() -> None:
        spare = [os.dup(descriptor) for descriptor in descriptors]
        high = [os.dup2(copy, 100 + index) for index, copy in enumerate(spare)]
        for index, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + index, inheritable=True)

    done = subprocess.run(
        [sys.executable, "-c", ACTIVATED, json.dumps(given)],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, timeout=60, check=True,
        close_fds=False, preexec_fn=place,
    )  # fmt: skip
    answer: dict[str, list[object]] = json.loads(done.stdout)
    return answer


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_the_passed_sockets_come_non_blocking_and_are_not_passed_on(tcp: socket.socket, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(path)
        local.listen()
        said = activated(tcp.fileno(), local.fileno())
    assert said == {"names": [list(tcp.getsockname()), path], "flags": [[False, False], [False, False]]}


def test_without_socket_activation_there_are_none() -> None:
    assert inherited_sockets({}, os.getpid()) == []


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid()) == []


def test_no_sockets_are_no_sockets() -> None:
    assert inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}, os.getpid()) == []


@pytest.mark.parametrize("count", ["", "one", "-1", "1.0", "²", "1000000"])
def test_a_count_that_is_none_is_a_wrong_setting(count: str) -> None:
    with pytest.raises(BadSettings) as refused:
        inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}, os.getpid())
    assert refused.value.problems == [f"LISTEN_FDS: {count!r} is no number of sockets"]


def test_every_descriptor_that_will_not_do_is_named_with_its_reason(tcp: socket.socket) -> None:
    read, write = os.pipe()
    connected, other = socket.socketpair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, connected, other:
        said = activated(tcp.fileno(), read, udp.fileno(), connected.fileno(), LISTEN_FDS="4")
    os.close(read)
    os.close(write)
    assert said["problems"] == [
        "LISTEN_FDS: the inherited descriptor 4 is no socket",
        "LISTEN_FDS: the inherited descriptor 5 is no stream socket; use ListenStream= with a TCP address or a path",
        "LISTEN_FDS: the inherited descriptor 6 does not listen; use Accept=no in the socket unit",
    ]


def test_a_descriptor_that_was_promised_but_not_passed_is_named(tcp: socket.socket) -> None:
    said = activated(tcp.fileno(), LISTEN_FDS="90")  # far beyond what any process here has open
    assert said["problems"][-1] == "LISTEN_FDS: the inherited descriptor 92 is not open"


@pytest.mark.parametrize("yes", ["1", " TRUE ", "yes"])
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_socket_beyond_loopback_needs_the_same_permission_as_an_address(address: str, yes: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((address, 0))
        sock.listen()
        (problem,) = activated(sock.fileno())["problems"]
        assert activated(sock.fileno(), SIDECAR_ALLOW_REMOTE=yes)["flags"] == [[False, False]]
    assert f"listens on {address}, which is not loopback" in str(problem)
    assert "SIDECAR_ALLOW_REMOTE=1" in str(problem)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_is_one_datagram_to_the_notify_socket(abstract: bool, tmp_path: Path) -> None:
    name = f"@biot-sidecar-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        notify({"NOTIFY_SOCKET": name}, "READY=1\nSTATUS=serving")
        assert manager.recv(100) == b"READY=1\nSTATUS=serving"


@pytest.mark.parametrize(
    "name", ["", "relative", "/no/such/socket", "@nobody-listens", "/nul\0inside", "vsock:2:1", "/" + "x" * 200]
)
def test_a_state_that_nobody_takes_harms_nobody(name: str) -> None:
    notify({"NOTIFY_SOCKET": name}, "READY=1")
    notify({}, "READY=1")


def test_a_manager_that_does_not_read_never_blocks_the_sidecar(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        for _ in range(5000):  # far more than the kernel queues for one socket
            notify({"NOTIFY_SOCKET": name}, "WATCHDOG=1")
        manager.setblocking(False)
        assert manager.recv(100) == b"WATCHDOG=1"
