"""The routes file on disk: read at start, looked at every few seconds, swapped in whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final, Protocol

from biot_sidecar.background_work import no_collections
from biot_sidecar.errors import BadSettings
from biot_sidecar.pacing import Pace, let_go, no_pause
from biot_sidecar.regular_file import read_file
from biot_sidecar.routing.file import Loaded, Problem, counted, load
from biot_sidecar.routing.route import Verdict
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.threads import in_thread

INTERVAL: Final = 2.0
"""Seconds between two looks at the file."""
SETTLING: Final = 0.075
"""Seconds between two looks at a changed file, which must agree, so that nothing half-written is taken."""
QUIET_LOOKS: Final = 7
"""So many must agree in a row when the file changed just now: its writer may be a slow one."""
PATIENT_LOOKS: Final = 27
"""After so many a file that changes again and again is taken when it rests at all."""
SETTLING_MOST: Final = 47
LARGEST: Final = 8 * 1024 * 1024
TOLD_AT_ONCE: Final = 50
"""Lines that are logged at once; then others have TOLD_PAUSE seconds for their turn."""
TOLD_PAUSE: Final = 0.01
_TRUSTED_AGE: Final = 1.0
"""Seconds after which a file's time stamp tells of every further change; clocks of file systems are coarse."""


class Judge(Protocol):
    """The one method of http.interfaces.Routes."""

    def __call__(self, method: bytes, target: bytes) -> Verdict: ...


def read_routes_file(path: str) -> bytes:
    """The file's content. Raises OSError, and BadSettings for what is no file of a sensible size."""
    if os.path.isdir(path):
        raise BadSettings([f"{path}:1:1: error: this is a directory; name the routes file in it"])
    data = read_file(path, LARGEST + 1)
    if len(data) > LARGEST:
        raise BadSettings([f"{path}:1:1: error: the file is larger than {LARGEST // 1024 // 1024} MiB"])
    return data


def load_routes_file(path: str) -> Loaded:
    """What the file on disk holds. Raises BadSettings if it cannot be read."""
    return load(_content(path, read_routes_file), path)


def _content(path: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise BadSettings([f"{path}:1:1: error: the routes file cannot be read: {reason}"]) from None


class RoutesWatcher:
    """Implements http.interfaces.Routes by the table in force.

    `wall` tells seconds since the epoch, `reloaded` learns whether a reload took, `on_swap` sees each new table before
    any request does, `log` gets a level (info, warning, error) and a line. Reloads work in steps, beside the loop, and
    call `pace` between them; there `prepare` may do for a table what would keep `on_swap` long.
    """

    def __init__(
        self,
        path: str,
        *,
        wall: Callable[[], float],
        log: Callable[[str, str], None],
        reloaded: Callable[[bool], None] = lambda taken: None,
        prepare: Callable[[RouteTable, Pace], None] = lambda table, pace: None,
        on_swap: Callable[[RouteTable], None] = lambda table: None,
        pace: Pace = no_pause,
        read: Callable[[str], bytes] = read_routes_file,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.path = path
        self._wall = wall
        self._log = log
        self._reloaded = reloaded
        self._prepare = prepare
        self._on_swap = on_swap
        self._pace = pace
        self._read = read
        self._sleep = sleep
        self._wake = asyncio.Event()
        self._asked = False
        self._hash: int | None = None  # of the content that was judged last, whether it was taken or not
        self._stamp: tuple[int, ...] | None = None  # of the file when it was last read, if that can be trusted
        self._at: float | None = None
        self._error: str | None = None
        self.warnings: tuple[Problem, ...] = ()
        self.table: RouteTable
        self.verdict: Judge

    def load_first(self) -> None:
        """Read the file before anything is served. Raises BadSettings with every problem."""
        data = _content(self.path, self._read)
        with no_collections():
            loaded = load(data, self.path)
        self._hash = hash(data)
        self._at = self._wall()
        if loaded.table is None:
            raise BadSettings([str(problem) for problem in loaded.errors])
        for problem in loaded.warnings:
            self._log("warning", str(problem))
        self._take(loaded.table, loaded)

    @property
    def reload_state(self) -> dict[str, str | None]:
        """`at`: when the file was last judged, in ISO 8601; `error`: why it was not taken then, or None."""
        at = None if self._at is None else datetime.fromtimestamp(self._at, UTC).isoformat(timespec="milliseconds")
        return {"at": None if at is None else at.replace("+00:00", "Z"), "error": self._error}

    def request_reload(self) -> None:
        """Read the file again now, even if it did not change (SIGHUP)."""
        self._asked = True
        self._wake.set()

    async def watch(self, interval: float = INTERVAL) -> None:
        """Look at the file until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(interval, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            asked, self._asked = self._asked, False
            await self.look(asked=asked)

    async def look(self, *, asked: bool = False) -> None:
        """Take the file if its content is new and right; `asked`: say what came of it, even if it is not new."""
        stamp = _stamp(self.path)
        if stamp is not None and stamp == self._stamp and not asked:
            return
        try:
            data = await self._settled(asked=asked, rests=self._rests(stamp))
        except BadSettings as error:
            self._stamp = None
            self._hash = None  # whatever comes back is judged again, the old content too
            if asked or self._error != error.problems[0]:
                await self._refuse(error.problems)
            return
        self._stamp = stamp if stamp is not None and self._wall() - stamp[0] / 1e9 > _TRUSTED_AGE else None
        if data is not None and (asked or self._news(data)):
            await self._judge(data)

    def _news(self, data: bytes) -> bool:
        """True for content that was not the last to be judged."""
        return hash(data) != self._hash

    def _rests(self, stamp: tuple[int, ...] | None) -> bool:
        """True if the file last changed so long ago that nobody can still be writing it."""
        return stamp is not None and self._wall() - stamp[1] / 1e9 > QUIET_LOOKS * SETTLING

    async def _settled(self, *, asked: bool, rests: bool) -> bytes | None:
        """The content, if it is new once it has stayed the same for a while; None if it does not stop changing.

        Who asks for a reload has written the file, and so has somebody whose file `rests`.
        """
        data = await self._content()
        if not self._news(data):
            return data
        same = 0
        for look in range(SETTLING_MOST):
            await self._sleep(SETTLING)
            before, data = data, await self._content()
            same = same + 1 if data == before else 0
            rests = rests and same > 0
            written = asked or rests or self._asked
            if same >= (1 if written or look >= PATIENT_LOOKS else QUIET_LOOKS):
                return data
        return None

    async def _content(self) -> bytes:
        """What the file holds. Editors that put a new file in an old one's place leave a moment without any."""
        for _ in range(QUIET_LOOKS):
            with contextlib.suppress(BadSettings):
                return await self._read_it()
            await self._sleep(SETTLING)
        return await self._read_it()

    async def _read_it(self) -> bytes:
        return await in_thread(lambda: _content(self.path, self._read), "routes")

    async def _judge(self, data: bytes) -> None:
        self._hash = hash(data)
        with no_collections():
            loaded = await in_thread(lambda: self._load(data), "routes")
        if loaded.table is None:
            await self._refuse([str(problem) for problem in loaded.errors])
            return
        await self._replace(loaded.table, loaded)
        await self._tell("warning", map(str, loaded.warnings))
        self._log("info", f"{self.path} is in force: {counted(len(loaded.table.routes), 'route')}")

    def _load(self, data: bytes) -> Loaded:
        loaded = load(data, self.path, pace=self._pace)
        if loaded.table is not None:
            self._prepare(loaded.table, self._pace)
        return loaded

    async def _replace(self, table: RouteTable, loaded: Loaded) -> None:
        """Put the table in force, and free the old one, which requests under way do not need any more."""
        old = [self.table]
        self._at = self._wall()
        self._error = None
        self._take(table, loaded)
        self._reloaded(True)
        await in_thread(lambda: self._free(old), "routes")

    def _free(self, tables: list[RouteTable]) -> None:
        """The list's one table, which nobody else holds."""
        parts = tables.pop().parts(self._pace)
        let_go(parts, self._pace)

    async def _tell(self, level: str, lines: Iterable[str]) -> None:
        """Log the lines, of which there may be thousands."""
        for number, line in enumerate(lines, 1):
            self._log(level, line)
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(TOLD_PAUSE)

    def _take(self, table: RouteTable, loaded: Loaded) -> None:
        self.warnings = loaded.warnings
        self._on_swap(table)
        self.table = table
        self.verdict = table.verdict

    async def _refuse(self, problems: list[str]) -> None:
        self._at = self._wall()
        self._error = problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
        self._reloaded(False)
        await self._tell("error", problems)
        self._log("error", f"{self.path} was not taken; the routes read before stay in force")


def _stamp(path: str) -> tuple[int, ...] | None:
    """What changes when the file does, symbolic links followed; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
