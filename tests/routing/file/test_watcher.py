"""A new routes file is taken whole or not at all, whatever becomes of the file meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.routing.file.watcher import (
    LINES_AT_ONCE,
    PATIENT_READS,
    QUIET_READS,
    READS_MOST,
    SIZE_LIMIT,
    RoutesWatcher,
    load_routes_file,
    read_routes_file,
)
from biot_sidecar.routing.table import RouteTable

ONE = "version: 1\nroutes: [{name: one, match: GET /ums/v2/users}]\n"
TWO = "version: 1\nroutes: [{name: two, match: GET /ums/v2/users}]\n"
BROKEN = "version: 1\nroutes: [{name: two, match: get /ums/v2/users}]\n"


class Place:
    """A routes file on disk, the clock, and what the outside learns of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "routes.yaml"
        self.now = 2_000_000_000.0
        self.reloads: list[bool] = []
        self.lines: list[tuple[str, str]] = []
        self.swaps: list[RouteTable] = []
        self.pauses = 0
        self.reads = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.path.write_text(ONE)
        self.routes = RoutesWatcher(
            str(self.path),
            wall=lambda: self.now,
            log=lambda level, line: self.lines.append((level, line)),
            reloaded=self.reloads.append,
            on_swap=self.swaps.append,
            read=self.read,
            sleep=self.sleep,
        )

    def read(self, path: str) -> bytes:
        self.reads += 1
        return read_routes_file(path)

    async def sleep(self, seconds: float) -> None:
        assert 0.05 <= seconds <= 0.1
        self.pauses += 1
        self.meanwhile()

    def write(self, text: str) -> None:
        """In place, as `kubectl cp` or an editor would; later than before, as far as the file system can tell."""
        self.path.write_text(text)
        found = self.path.stat()
        os.utime(self.path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))

    @property
    def route(self) -> str:
        return self.routes.verdict(b"GET", b"/ums/v2/users").route.name

    @property
    def error(self) -> str | None:
        return self.routes.reload_state["error"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.routes.load_first()
    return place


def test_the_first_load_tells_of_its_table(place):
    assert place.route == "one"
    assert place.swaps == [place.routes.table]
    assert place.reloads == []
    assert place.routes.reload_state == {"at": "2033-05-18T03:33:20.000Z", "error": None}


def test_the_first_load_reports_every_error(tmp_path):
    place = Place(tmp_path)
    place.write("version: 2\nroutes: [{name: a, match: get /a}]\n")
    with pytest.raises(BadSettings) as caught:
        place.routes.load_first()
    assert caught.value.problems == [
        f"{place.path}:1:10: error: version '2' is unknown; write version: 1",
        f"{place.path}:2:27: error: match: 'get' can never match: methods have capitals; write GET",
    ]


def test_warnings_are_logged_and_kept(tmp_path):
    place = Place(tmp_path)
    place.write("version: 1\nroutes: [{name: a, match: GET /nowhere}]\n")
    place.routes.load_first()
    assert [str(warning) for warning in place.routes.warnings] == [
        f"{place.path}:2:27: warning: no known BioT operation is GET /nowhere"
    ]
    assert place.lines == [("warning", str(place.routes.warnings[0]))]


async def test_a_changed_file_is_taken(place):
    place.write(TWO)
    place.now += 2
    await place.routes.poll()
    assert place.route == "two"
    assert place.reloads == [True]
    assert place.swaps[-1] is place.routes.table
    assert place.routes.reload_state == {"at": "2033-05-18T03:33:22.000Z", "error": None}
    assert place.lines == [("info", f"{place.path} is in force: 1 route")]


async def test_an_unchanged_file_is_not_even_read(place):
    await place.routes.poll()
    reads = place.reads
    await place.routes.poll()
    await place.routes.poll()
    assert place.reads == reads
    assert place.reloads == []


async def test_a_file_touched_but_not_changed_is_no_news(place):
    place.write(ONE)
    await place.routes.poll()
    assert place.reloads == []
    assert place.pauses == 0


async def test_a_change_that_a_coarse_file_clock_hides_is_seen(place):
    """The time stamp, size and inode stay; only a stamp that is old enough by our clock may be trusted."""
    place.now = place.path.stat().st_mtime + 0.5
    await place.routes.poll()
    found = place.path.stat()
    place.path.write_text(TWO)
    os.utime(place.path, ns=(found.st_atime_ns, found.st_mtime_ns))
    await place.routes.poll()
    assert place.route == "two"


async def test_a_wrong_file_leaves_the_old_table_in_force(place):
    old = place.routes.table
    place.write(BROKEN)
    await place.routes.poll()
    await place.routes.poll()
    assert place.routes.table is old
    assert place.route == "one"
    assert place.reloads == [False]
    diagnostic = f"{place.path}:2:29: error: match: 'get' can never match: methods have capitals; write GET"
    assert place.error == diagnostic
    assert place.lines == [
        ("error", diagnostic),
        ("error", f"{place.path} was not taken; the routes read before stay in force"),
    ]


async def test_the_state_says_how_many_more_errors_there_are(place):
    place.write("version: 2\nroutes: 1\ntests: 1\n")
    await place.routes.poll()
    assert place.error is not None
    assert place.error.endswith("write version: 1 (and 2 more)")


async def test_a_file_that_was_wrong_is_taken_once_it_is_right(place):
    place.write(BROKEN)
    await place.routes.poll()
    place.write(TWO)
    await place.routes.poll()
    assert place.route == "two"
    assert place.reloads == [False, True]
    assert place.error is None


async def test_a_wrong_file_that_goes_back_to_the_old_one_is_no_error_any_more(place):
    place.write(BROKEN)
    await place.routes.poll()
    place.write(ONE)
    await place.routes.poll()
    assert place.reloads == [False, True]
    assert place.error is None


async def test_a_file_that_is_gone_for_a_moment_is_no_error(place):
    """vim moves the old file away and writes the new one."""
    place.path.unlink()
    place.meanwhile = lambda: place.path.write_text(TWO)
    await place.routes.poll()
    assert place.reloads == [True]
    assert place.route == "two"


async def test_a_file_that_vanishes_is_reported_once_and_its_table_stays(place):
    place.path.unlink()
    await place.routes.poll()
    await place.routes.poll()
    assert place.route == "one"
    assert place.reloads == [False]
    assert place.error == f"{place.path}:1:1: error: the routes file cannot be read: No such file or directory"


async def test_a_file_that_comes_back_as_it_was_is_no_error_any_more(place):
    place.path.unlink()
    await place.routes.poll()
    place.path.write_text(ONE)
    await place.routes.poll()
    assert place.error is None
    assert place.reloads == [False, True]


async def test_a_half_written_file_is_waited_for(place):
    """The beginning of a file can be a file that is right, and mean something else."""
    place.write(TWO)
    place.meanwhile = lambda: place.write(TWO + "defaults: {interception: on}\n") if place.pauses == 1 else None
    await place.routes.poll()
    assert place.pauses == 1 + QUIET_READS
    assert place.reloads == [True]
    assert place.routes.table.unmatched.interception.value == "on"
    assert len(place.swaps) == 2


async def test_a_file_that_changed_just_now_may_still_be_written(place):
    """A writer that rests for a moment between two parts of it."""
    place.write(TWO)
    place.now = place.path.stat().st_ctime + 0.01
    place.meanwhile = lambda: place.write(TWO + "defaults: {interception: on}\n") if place.pauses == 5 else None
    await place.routes.poll()
    assert place.pauses == 5 + QUIET_READS
    assert place.reloads == [True]
    assert place.routes.table.unmatched.interception.value == "on"


async def test_who_asks_has_written_the_file(place):
    place.write(TWO)
    place.now = place.path.stat().st_ctime + 0.01
    await place.routes.poll(asked=True)
    assert place.pauses == 1
    assert place.route == "two"


async def test_who_asks_while_a_file_is_looked_at_need_not_wait_either(place):
    place.write(TWO)
    place.now = place.path.stat().st_ctime + 0.01
    place.meanwhile = lambda: place.routes.request_reload() if place.pauses == 2 else None
    await place.routes.poll()
    assert place.pauses == 2
    assert place.route == "two"


async def test_a_file_that_changes_again_and_again_is_taken_all_the_same(place):
    place.write(TWO)
    place.now = place.path.stat().st_ctime + 0.01
    place.meanwhile = lambda: place.write(TWO + f"# {place.pauses}") if place.pauses % 2 else None
    await place.routes.poll()
    assert place.route == "two"
    assert PATIENT_READS <= place.pauses <= PATIENT_READS + 2


async def test_a_file_that_never_settles_is_left_for_the_next_look(place):
    place.write(TWO)
    place.meanwhile = lambda: place.write(TWO + f"# {place.pauses}")
    await place.routes.poll()
    assert place.pauses == READS_MOST
    assert place.route == "one"
    assert place.reloads == []
    place.meanwhile = lambda: None
    await place.routes.poll()
    assert place.route == "two"


async def test_the_swap_of_a_configmap_is_seen(tmp_path):
    """Kubernetes: routes.yaml -> ..data/routes.yaml, ..data -> ..2033, and ..data is replaced by a rename."""
    for name, text in (("..one", ONE), ("..two", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").write_text(text)
        os.utime(tmp_path / name / "routes.yaml", (1_000_000_000, 1_000_000_000))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    place = Place(tmp_path / "..one")
    place.routes.path = str(tmp_path / "routes.yaml")
    place.routes.load_first()
    await place.routes.poll()
    (tmp_path / "..new").symlink_to("..two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    await place.routes.poll()
    assert place.route == "two"


async def test_asking_says_what_came_of_it_even_without_news(place):
    await place.routes.poll(asked=True)
    assert place.reloads == [True]
    place.write(BROKEN)
    await place.routes.poll()
    await place.routes.poll(asked=True)
    assert place.reloads == [True, False, False]


async def test_the_table_tells_of_itself_before_any_request_meets_it(place):
    seen = []
    place.routes._on_swap = lambda table: seen.append((table.routes[0].name, place.route))
    place.write(TWO)
    await place.routes.poll()
    assert seen == [("two", "one")]


async def test_watching_looks_again_and_again_until_cancelled(place):
    looked = asyncio.Event()
    place.routes._on_swap = lambda table: looked.set()
    place.write(TWO)
    watch = asyncio.ensure_future(place.routes.watch(interval=0.001))
    await asyncio.wait_for(looked.wait(), 40)
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert place.route == "two"


async def test_a_request_to_reload_need_not_wait_for_the_next_look(place):
    looked = asyncio.Event()
    place.routes._reloaded = lambda taken: looked.set()
    place.routes.request_reload()
    watch = asyncio.ensure_future(place.routes.watch(interval=3600))
    await asyncio.wait_for(looked.wait(), 40)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/tty"])
def test_what_might_keep_its_reader_waiting_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it
    path = str(tmp_path / name)
    place = RoutesWatcher(path, wall=lambda: 0.0, log=lambda level, line: None)
    for read in (place.load_first, lambda: load_routes_file(path)):
        with pytest.raises(BadSettings) as caught:
            read()
        assert caught.value.problems[0].startswith(f"{path}:1:1: error: the routes file cannot be read: ")


def test_what_is_no_file_says_so(tmp_path):
    for name, diagnostic in [
        (str(tmp_path), "this is a directory; name the routes file in it"),
        (str(tmp_path / "none"), "the routes file cannot be read: No such file or directory"),
        (str(tmp_path / "a\0b"), "the routes file cannot be read: no such file"),
    ]:
        with pytest.raises(BadSettings) as caught:
            load_routes_file(name)
        assert caught.value.problems == [f"{name}:1:1: error: {diagnostic}"]


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(SIZE_LIMIT + 1)
    with pytest.raises(BadSettings) as caught:
        load_routes_file(str(tmp_path / "big"))
    assert caught.value.problems == [f"{tmp_path}/big:1:1: error: the file is larger than 8 MiB"]


@pytest.mark.parametrize("last", ["", "  - {name: last, match: nonsense}\n"], ids=["taken", "refused"])
async def test_thousands_of_problems_are_told_a_few_at_a_time(place, last):
    method = "get" if last else "GET"  # an error each, or a warning
    routes = "".join(f"  - {{name: r{number}, match: {method} /nowhere/{number}}}\n" for number in range(300))
    place.write("version: 1\nroutes:\n" + routes + last)
    told: list[int] = []
    loop = asyncio.get_running_loop()

    def count() -> None:
        told.append(len(place.lines))
        loop.call_soon(count)

    count()
    await place.routes.poll()
    assert len(place.lines) > 300
    assert max(after - before for before, after in itertools.pairwise(told)) <= LINES_AT_ONCE + 1


async def test_what_a_table_needs_is_prepared_before_it_is_in_force(place):
    seen = []
    place.routes._prepare = lambda table, pace: seen.append((table.routes[0].name, place.route))
    place.write(TWO)
    await place.routes.poll()
    assert seen == [("two", "one")]
    assert place.route == "two"
