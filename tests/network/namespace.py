"""A machine in small: a network of its own with a name server of ours, which programs and sockets are put into.

Its one cable ends in nothing: what is sent to an address of its networks that is not ours is swallowed, and nobody says
that there is nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import wants

CLONE_NEWNET = 0x40000000
OURS, OURS_TOO, OURS_6 = "10.9.0.1", "10.9.0.2", "fd00:9::1"
"""Addresses of this machine."""
DEAD, DEAD_TOO, DEAD_6 = "10.9.0.66", "10.9.0.67", "fd00:9::66"
"""Addresses that swallow whatever is sent there."""
_FILES = {
    "resolv.conf": "nameserver 127.0.0.1\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "hosts: files dns\n",
    # The address that we speak from would be the first in every answer (RFC 6724, section 6, rule 9).
    "gai.conf": "".join(
        f"precedence {network} {number}\n"
        for network, number in ((f"::ffff:{DEAD}/122", 100), (f"{DEAD_6}/122", 100), (f"::ffff:{OURS_TOO}/128", 90))
    ),
}


class Namespace:
    """`enter` begins a command that is to run in it. It ends with `close`, or with this process."""

    def __init__(self, folder: Path) -> None:
        for name, text in _FILES.items():
            (folder / name).write_text(text)
        mounts = [f"mount --bind {folder / name} {os.path.realpath(f'/etc/{name}')}" for name in _FILES]
        script = " && ".join([*mounts, "echo ready", "exec cat"])
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if self._holder.stdout.readline() != "ready\n":
            self._holder.communicate(timeout=30)
            pytest.skip(wants.reason("network namespaces"))
        self.enter = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount"]
        try:
            self._lay_cable()
        except AssertionError as error:
            self.close()
            pytest.skip(f"this kernel has not what a network of our own is made of: {error}")

    def _lay_cable(self) -> None:
        self.ip("link set lo up")
        self.ip("link add cable type veth peer name nowhere")
        self.ip("link set cable arp off up")  # nobody is asked who has an address
        self.ip("link set nowhere up")
        for address in (OURS, OURS_TOO):
            self.ip(f"address add {address}/24 dev cable")
        self.ip(f"address add {OURS_6}/64 dev cable nodad")

    @contextlib.contextmanager
    def swallowing(self, address: str) -> Iterator[None]:
        """What is sent to this address of ours is swallowed, too, in connections that stand already as well."""
        self.ip("rule add pref 20 lookup local")
        self.ip(f"route add {address}/32 dev cable table 100")
        self.ip(f"rule add pref 10 to {address} lookup 100")
        self.ip("rule delete pref 0")
        try:
            yield
        finally:
            self.ip("rule add pref 0 lookup local")
            for number in (10, 20):
                self.ip(f"rule delete pref {number}")
            self.ip("route flush table 100")

    def ip(self, words: str) -> None:
        """ip(8), inside."""
        done = subprocess.run([*self.enter, "ip", *words.split()], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"ip {words}: {done.stderr}"

    def socket(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A socket that is bound there, inside; this process may use it as any other."""
        with ThreadPoolExecutor(1) as thread:  # only that thread moves
            return thread.submit(self._bind, address, port, kind).result()

    def _bind(self, address: str, port: int, kind: socket.SocketKind) -> socket.socket:
        with open(f"/proc/{self._holder.pid}/ns/net") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        self._holder.communicate(timeout=30)
