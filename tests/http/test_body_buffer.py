"""Small bodies that are read here."""

from __future__ import annotations

from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import Wakeup

from tests.support.fakes import SourceBase


class FakeSource(SourceBase):
    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def detach(self) -> None:
        self.calls.append("detach")


async def test_a_small_body_is_kept_whole():
    collector, source = BodyBuffer(5), FakeSource()
    collector.attach(source)
    collector.write_body([b"ab", b"c"])
    collector.write_body([b"de"])
    collector.end_body([(b"x", b"y")])
    assert b"".join(collector.pieces) == b"abcde"
    assert collector.trailers == [(b"x", b"y")]
    assert (collector.overflowed, source.calls) == (False, [])


async def test_a_body_beyond_the_limit_stops_its_source_and_wakes_who_waits():
    collector, source = BodyBuffer(5), FakeSource()
    collector.attach(source)
    waiting = source.wakeup.next()
    collector.write_body([b"abcdef"])
    assert collector.overflowed
    assert source.calls == ["detach", "pause"]
    assert waiting.done()
    assert collector.pieces == [b"abcdef"], "what was read is not lost"
