"""BioT's secret keys in memory, and a machine that may be killed at any of its steps: for tests of rotations."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from biot_sidecar import platform
from biot_sidecar.auth import rotation_files
from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure, locked, rejected
from biot_sidecar.auth.rotate_secret import Rotation
from biot_sidecar.auth.rotation_files import RotationFiles
from biot_sidecar.errors import Code, UpstreamError
from biot_sidecar.http.messages import Response
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import iso

LOGIN = b"/ums/v2/services/accessToken"
FIRST = "first-secret"


class Killed(BaseException):
    """SIGKILL: nothing of this process happens any more."""


class Machine:
    """Counts the steps of a process, and kills it before the one of this number (from 0; None: never)."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at = dies_at
        self.steps = 0

    @property
    def dead(self) -> bool:
        return self.dies_at is not None and self.steps > self.dies_at

    def step(self) -> None:
        self.steps += 1
        if self.dead:
            raise Killed


class System:
    """`os` of a machine: every call that changes something on disk is a step. `full`: no space is left for contents."""

    CHANGES = frozenset({"open", "write", "replace", "unlink", "utime"})

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.full = False

    def fsync(self, descriptor: int) -> None:
        self._machine.step()

    def sync_folder(self, path: str) -> None:
        self._machine.step()

    def make_like(self, *args: Any) -> None:
        self._machine.step()
        platform.make_like(*args)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)  # so does a process that is killed

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if name not in self.CHANGES:
            return value

        def stepping(*args: Any, **more: Any) -> Any:
            self._machine.step()
            if self.full and name == "write":
                raise OSError(28, "No space left on device")
            return value(*args, **more)

        return stepping


def take_place(system: System, put: Callable[[Any, str, Any], None]) -> None:
    """Have the files of rotations written by this system."""
    put(rotation_files, "os", system)
    put(rotation_files, "sync_folder", system.sync_folder)
    put(rotation_files, "make_like", system.make_like)


class Keys:
    """The service user's keys at BioT. `answers` replaces the response to a method, `away` loses them."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.most = 2
        self.secrets = {"key-1": FIRST}
        self.ends: dict[str, float] = {}
        self.made = 1
        self.asked: list[str] = []
        self.answers: dict[bytes, tuple[int, dict[str, Any]]] = {}
        self.away: set[bytes] = set()
        self.locked = False
        self.rejects: set[str] = set()

    def accepts(self, secret: str) -> bool:
        living = [key for key, text in self.secrets.items() if text == secret]
        return any(self.ends.get(key, self.now + 1) > self.now for key in living) and secret not in self.rejects

    def answer(self, method: bytes, path: bytes) -> tuple[int, dict[str, Any]]:
        if method in self.answers:
            return self.answers[method]
        if method == b"GET":
            return 200, {"secretKeys": [self._shown(key) for key in self.secrets]}
        if method == b"POST":
            if len(self.secrets) >= self.most:
                return 409, {"code": "MAX_SECRET_KEYS"}
            self.made += 1
            key, secret = f"key-{self.made}", f"canary-{self.made}"
            self.secrets[key] = secret
            return 201, {**self._shown(key), "secretKey": secret}
        if self.secrets.pop(path.rpartition(b"/")[2].decode(), None) is None:
            return 404, {"code": "SECRET_KEY_ID_NOT_FOUND"}
        return 204, {}

    def _shown(self, key: str) -> dict[str, Any]:
        end = {"expirationTime": iso(self.ends[key])} if key in self.ends else {}
        return {"id": key, "creationTime": iso(self.now - 86_400), **end}


class World:
    """A folder with FILE, BioT and a clock; each run() is a process of its own."""

    def __init__(self, folder: Any, monkeypatch: Any, now: float) -> None:
        self.file = folder / "key"
        self.file.write_text(FIRST)
        self.file.chmod(0o600)
        self.now = now
        self.biot = Keys(now)
        self.said: list[str] = []
        self.machine = Machine()
        self.system = System(self.machine)
        self.in_force = False
        self._monkeypatch = monkeypatch

    async def run(
        self,
        dies_at: int | None = None,
        *,
        grace: float = 0.0,
        named: str = "",
        within: float | None = None,
    ) -> bool:
        """True once the new key is in force. Raises RotationFailed, Killed."""
        self.said.clear()
        rotation = self.process(dies_at, grace=grace, named=named)
        self.in_force = False
        try:
            with RotationFiles(str(self.file)).locked():
                await rotation.run(only_known_within=within)
        finally:
            self.in_force = rotation.in_force
        return True

    def process(
        self, dies_at: int | None = None, *, grace: float = 0.0, named: str = "", token: bytes = b""
    ) -> Rotation:
        self.machine = Machine(dies_at)
        full = self.system.full
        self.system = System(self.machine)
        self.system.full = full
        take_place(self.system, self._monkeypatch.setattr)
        return Rotation(
            RotationFiles(str(self.file)),
            self.fetch,
            self.log_in,
            blocking=self._blocking,
            wall=lambda: self.now,
            sleep=self._sleep,
            say=lambda level, message: self.said.append(message),
            grace=grace,
            named=named,
            token=token,
        )

    async def fetch(self, method: bytes, path: bytes, *args: Any, **more: Any) -> Response:
        self.machine.step()
        self.biot.asked.append(f"{method.decode()} {path.decode()}")
        if method in self.biot.away:
            raise UpstreamError(Code.UPSTREAM_TIMEOUT, "BioT did not answer within 10s.")
        status, body = (
            self.biot.answer(method, path) if path != LOGIN else self._logged_in(more.get("body", *args[1:2]))
        )
        self.machine.step()  # carried out, and the answer is lost
        return Response(status, [], json.dumps(body).encode())

    def _logged_in(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if not self.biot.accepts(json.loads(body)["secretKey"]):
            return 403, {"code": "LOGIN_FAILED"}
        return 200, {"accessToken": "a.b.c", "accessTokenExpiration": iso(self.now + 1800)}

    async def log_in(self, secret: Secret) -> IssuedToken | LoginFailure:
        self.machine.step()
        self.biot.asked.append("login")
        if self.biot.locked:
            return locked()
        if not self.biot.accepts(secret.reveal()):
            return rejected()
        return IssuedToken("a.b.c", self.now, self.now + 1800)

    async def _blocking(self, work: Callable[[], Any]) -> Any:
        return work()

    async def _sleep(self, seconds: float) -> None:
        return

    def beside(self) -> list[str]:
        """The names in the folder, without FILE's own."""
        return sorted(path.name.removeprefix("key") for path in self.file.parent.iterdir() if path != self.file)

    def works(self) -> bool:
        """True if a sidecar that reads FILE now can log in."""
        return self.biot.accepts(self.file.read_text().strip())
