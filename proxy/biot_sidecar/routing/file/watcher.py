"""The routes file on disk: read at start, polled every few seconds, swapped in whole or not at all.

How a changing file is read. A poll costs one stat(2) as long as the file's times, size and inode stay what they were.
They are trusted only when the file was older than a second as it was read: clocks of file systems are coarse, and a
second change within one tick shows in none of them. Else, and after SIGHUP, the content itself is compared.

New content may be half of a file: writers truncate and write in steps, and editors put another file in the old one's
place, which leaves a moment without any. So it is read again every SETTLING seconds until it rests:

    the file changed                                       equal reads in a row that take it
    long ago, or somebody asked for the reload (SIGHUP)    1
    just now                                               QUIET_READS (half a second)
    again and again, for PATIENT_READS                     1
    still, after READS_MOST                                none: the next poll goes on

Content is judged once: a wrong file is reported with the poll that finds it, and not again until it changes. Judging
works in a thread, in steps; the swap itself is one assignment in the loop, so a request has the old table or the new.
"""

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
from biot_sidecar.routing.file import Diagnostic, Loaded, counted, import_parser_for, load
from biot_sidecar.routing.route import Verdict
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.threads import in_thread

INTERVAL: Final = 2.0
"""Seconds between two polls."""
SETTLING: Final = 0.075
"""Seconds between two reads of a changed file."""
QUIET_READS: Final = 7
PATIENT_READS: Final = 27
READS_MOST: Final = 47
SIZE_LIMIT: Final = 8 * 1024 * 1024
"""Bytes."""
LINES_AT_ONCE: Final = 50
"""Lines that are logged at once; then others have LOG_PAUSE seconds for their turn."""
LOG_PAUSE: Final = 0.01
_TRUSTED_AGE: Final = 1.0
"""Seconds after which a file's time stamp tells of every further change; clocks of file systems are coarse."""


class Match(Protocol):
    """The one method of http.interfaces.Routes."""

    def __call__(self, method: bytes, target: bytes) -> Verdict: ...


def read_routes_file(path: str) -> bytes:
    """The file's content. Raises OSError, and BadSettings for what is no file of a sensible size."""
    if os.path.isdir(path):
        raise BadSettings([f"{path}:1:1: error: this is a directory; name the routes file in it"])
    data = read_file(path, SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise BadSettings([f"{path}:1:1: error: the file is larger than {SIZE_LIMIT // 1024 // 1024} MiB"])
    return data


def load_routes_file(path: str) -> Loaded:
    """What the file on disk holds. Raises BadSettings if it cannot be read."""
    return load(_read_or_complain(path, read_routes_file), path)


def _read_or_complain(path: str, read: Callable[[str], bytes]) -> bytes:
    try:
        data = read(path)
        import_parser_for(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise BadSettings([f"{path}:1:1: error: the routes file cannot be read: {reason}"]) from None
    return data


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
        self._stat_key: tuple[int, ...] | None = None  # of the file when it was last read, if that can be trusted
        self._at: float | None = None
        self._error: str | None = None
        self.warnings: tuple[Diagnostic, ...] = ()
        self.table: RouteTable
        self.verdict: Match

    def load_first(self) -> None:
        """Read the file before anything is served. Raises BadSettings with every problem."""
        data = _read_or_complain(self.path, self._read)
        with no_collections():
            loaded = load(data, self.path)
        self._hash = hash(data)
        self._at = self._wall()
        if loaded.table is None:
            raise BadSettings([str(diagnostic) for diagnostic in loaded.errors])
        for diagnostic in loaded.warnings:
            self._log("warning", str(diagnostic))
        self._put_in_force(loaded.table, loaded)

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
        """Poll the file until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(interval, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            asked, self._asked = self._asked, False
            await self.poll(asked=asked)

    async def poll(self, *, asked: bool = False) -> None:
        """Take the file if its content is new and right; `asked`: say what came of it, even if it is not new."""
        stamp = _stat_key(self.path)
        if stamp is not None and stamp == self._stat_key and not asked:
            return
        try:
            data = await self._read_settled(asked=asked, rests=self._is_at_rest(stamp))
        except BadSettings as error:
            self._stat_key = None
            self._hash = None  # whatever comes back is judged again, the old content too
            if asked or self._error != error.problems[0]:
                await self._report_failure(error.problems)
            return
        self._stat_key = stamp if stamp is not None and self._wall() - stamp[0] / 1e9 > _TRUSTED_AGE else None
        if data is not None and (asked or self._is_new(data)):
            await self._reload(data)

    def _is_new(self, data: bytes) -> bool:
        """True for content that was not the last to be judged."""
        return hash(data) != self._hash

    def _is_at_rest(self, stamp: tuple[int, ...] | None) -> bool:
        """True if the file last changed so long ago that nobody can still be writing it."""
        return stamp is not None and self._wall() - stamp[1] / 1e9 > QUIET_READS * SETTLING

    async def _read_settled(self, *, asked: bool, rests: bool) -> bytes | None:
        """The content, if it is new once it has stayed the same for a while; None if it does not stop changing.

        Who asks for a reload has written the file, and so has somebody whose file `rests`.
        """
        data = await self._read_patiently()
        if not self._is_new(data):
            return data
        same = 0
        for reads in range(READS_MOST):
            await self._sleep(SETTLING)
            before, data = data, await self._read_patiently()
            same = same + 1 if data == before else 0
            rests = rests and same > 0
            written = asked or rests or self._asked
            if same >= (1 if written or reads >= PATIENT_READS else QUIET_READS):
                return data
        return None

    async def _read_patiently(self) -> bytes:
        """What the file holds. Editors that put a new file in an old one's place leave a moment without any."""
        for _ in range(QUIET_READS):
            with contextlib.suppress(BadSettings):
                return await self._read_in_thread()
            await self._sleep(SETTLING)
        return await self._read_in_thread()

    async def _read_in_thread(self) -> bytes:
        return await in_thread(lambda: _read_or_complain(self.path, self._read), "routes")

    async def _reload(self, data: bytes) -> None:
        self._hash = hash(data)
        with no_collections():
            loaded = await in_thread(lambda: self._parse(data), "routes")
        if loaded.table is None:
            await self._report_failure([str(diagnostic) for diagnostic in loaded.errors])
            return
        await self._swap(loaded.table, loaded)
        await self._log_lines("warning", map(str, loaded.warnings))
        self._log("info", f"{self.path} is in force: {counted(len(loaded.table.routes), 'route')}")

    def _parse(self, data: bytes) -> Loaded:
        loaded = load(data, self.path, pace=self._pace)
        if loaded.table is not None:
            self._prepare(loaded.table, self._pace)
        return loaded

    async def _swap(self, table: RouteTable, loaded: Loaded) -> None:
        """Put the table in force, and free the old one, which requests under way do not need any more."""
        old = [self.table]
        self._at = self._wall()
        self._error = None
        self._put_in_force(table, loaded)
        self._reloaded(True)
        await in_thread(lambda: self._free(old), "routes")

    def _free(self, tables: list[RouteTable]) -> None:
        """The list's one table, which nobody else holds."""
        parts = tables.pop().parts(self._pace)
        let_go(parts, self._pace)

    async def _log_lines(self, level: str, lines: Iterable[str]) -> None:
        """Log the lines, of which there may be thousands."""
        for number, line in enumerate(lines, 1):
            self._log(level, line)
            if number % LINES_AT_ONCE == 0:
                await asyncio.sleep(LOG_PAUSE)

    def _put_in_force(self, table: RouteTable, loaded: Loaded) -> None:
        self.warnings = loaded.warnings
        self._on_swap(table)
        self.table = table
        self.verdict = table.verdict

    async def _report_failure(self, problems: list[str]) -> None:
        self._at = self._wall()
        self._error = problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
        self._reloaded(False)
        await self._log_lines("error", problems)
        self._log("error", f"{self.path} was not taken; the routes read before stay in force")


def _stat_key(path: str) -> tuple[int, ...] | None:
    """What changes when the file does, symbolic links followed; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
