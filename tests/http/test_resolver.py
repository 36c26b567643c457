"""The upstream's name: one look-up for all who wait, in a thread that may be denied."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from biot_sidecar.http.connect_errors import NoThread, unreachable
from biot_sidecar.http.resolver import KEPT, Resolver, look_up
from biot_sidecar.routing.file.watcher import RoutesWatcher


class Names:
    """Answers look-ups in turn, and counts them."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        assert self.may_answer.wait(40)
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def resolver(names: Names, at: list[float] | None = None) -> Resolver:
    moment = at or [0.0]
    return Resolver(lambda: moment[0], names)


async def test_all_who_wait_share_one_look_up_and_one_who_leaves_takes_nothing_along():
    names = Names(["192.0.2.1", "2001:db8::1"])
    names.may_answer.clear()
    shared = resolver(names)
    leaves, *stay = [asyncio.ensure_future(shared.addresses("api.example", 443)) for _ in range(3)]
    await asyncio.sleep(0)
    leaves.cancel()
    names.may_answer.set()
    assert await asyncio.gather(*stay) == [["192.0.2.1", "2001:db8::1"]] * 2
    assert names.asked == 1


async def test_an_answer_is_used_again_for_ten_seconds():
    names, at = Names(["192.0.2.1"], ["192.0.2.2"]), [0.0]
    one = resolver(names, at)
    assert await one.addresses("api.example", 443) == ["192.0.2.1"]
    at[0] = KEPT - 0.1
    assert await one.addresses("api.example", 443) == ["192.0.2.1"]
    at[0] = KEPT
    assert await one.addresses("api.example", 443) == ["192.0.2.2"]


async def test_a_failed_look_up_is_told_to_all_who_wait_and_tried_again_by_the_next():
    names = Names(socket.gaierror(socket.EAI_AGAIN, "try again"), ["192.0.2.1"])
    one = resolver(names)
    told = await asyncio.gather(*(one.addresses("api.example", 443) for _ in range(2)), return_exceptions=True)
    assert [type(error) for error in told] == [socket.gaierror] * 2
    assert await one.addresses("api.example", 443) == ["192.0.2.1"]


async def test_an_address_needs_no_look_up():
    names = Names()
    assert await resolver(names).addresses("192.0.2.1", 443) == ["192.0.2.1"]
    assert await resolver(names).addresses("::1", 443) == ["::1"]
    assert names.asked == 0


@pytest.fixture
def no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a limit of processes: pthread_create(3) fails."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


async def test_without_a_thread_it_is_a_failure_with_a_name_and_the_next_one_tries_again(no_more_threads, monkeypatch):
    names = Names(["192.0.2.1"])
    one = resolver(names)
    for _ in range(2):
        with pytest.raises(NoThread) as raised:
            await one.addresses("api.example", 443)
    failure = unreachable(raised.value, "api.example:443", 5.0)
    assert "no thread can be started here" in failure.message
    assert "pids limit" in failure.hint
    monkeypatch.undo()
    assert await one.addresses("api.example", 443) == ["192.0.2.1"]


async def test_without_a_thread_the_routes_are_read_all_the_same(no_more_threads, tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: []\n")
    told = []
    routes = RoutesWatcher(
        str(tmp_path / "routes.yaml"),
        wall=lambda: 0.0,
        reloaded=told.append,
        log=lambda level, message: None,
        on_swap=lambda table: None,
    )
    routes.load_first()
    (tmp_path / "routes.yaml").write_text('version: 1\nroutes:\n  - {name: shut, match: "* /**", deny: nobody}\n')
    await routes.poll()
    assert told == [True]
    assert [route.name for route in routes.table.routes] == ["shut"]


def test_the_systems_answer_names_each_address_once():
    assert "127.0.0.1" in look_up("localhost", 443)
    assert len(set(look_up("localhost", 443))) == len(look_up("localhost", 443))
