"""The connection's state table, held to the code: whatever happens in whatever order, the table says what follows."""

from __future__ import annotations

import ast
import asyncio
import random
import re
from pathlib import Path

import pytest
from biot_sidecar.errors import Failure
from biot_sidecar.http import connection as module
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http import framing
from biot_sidecar.http.connection import HOLD_LIMIT, Connection
from biot_sidecar.http.deadlines import Wakeup
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.wires import Basin

ROW = re.compile(r"    (HEAD|HOLD|BODY|DISCARD) +(\w+)  +(\S.*?)  +((?:HEAD|HOLD|BODY|DISCARD)(?: \w+)*)")
SOURCE = Path(__file__).resolve().parents[2] / "proxy" / "biot_sidecar" / "http" / "connection.py"
THEORY = ast.get_docstring(ast.parse(SOURCE.read_text()), clean=False) or ""  # a compiled module has no docstring
TABLE = {(row[1], row[2]): set(row[4].split()) for line in THEORY.splitlines() if (row := ROW.fullmatch(line))}
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MESSAGES = {
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello": b"hello",
    CHUNKED + b"3\r\nhel\r\n2;a\r\nlo\r\n0\r\nT: u\r\n\r\n": b"hello",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": b"",
}
BAD_HEAD = b"GET / HTTP/1.1\r\nHost:\x00"
BAD_CHUNK = CHUNKED + b"3\r\nhelxx"


class OneSide(Connection):
    """A connection of neither side: what listener and pool add is judged by their own tests."""

    def _partial_failure(self, partial: bytearray, before: int) -> Failure | None:
        return errors.malformed_request("hopeless") if framing.hopeless(partial, before) else None

    def _body_failure(self, reason: str) -> Failure:
        return errors.malformed_request(reason)


class Wire(asyncio.Transport):
    """Delivers nothing while its reader has paused it, as a loop's transport does."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Run:
    """One connection, its wire and the coroutine that draws what it does next."""

    def __init__(self, pick, incoming: bytes, *, holding: bool) -> None:
        self.pick = pick  # a number below the given one
        self.incoming = incoming
        self.connection = OneSide(Wakeup(), holding=holding)
        self.connection.connection_made(Wire())
        self.expecting = holding  # a head, when it is asked for
        self.body_known = False
        self.basin = Basin()
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.seen: set[tuple[str, str]] = set()

    def happens(self, event: str, act) -> object:
        """Let it happen, and hold what follows to the table."""
        before, failed = self.connection.state, self.connection.failure
        result = act()
        after = self.connection.state
        if event == "bytes" and self.connection.failure is not failed:
            event = "malformed"
        assert after in TABLE[before, event], (before, event, after)
        self.seen.add((before, event))
        self.judge()
        return result

    def judge(self) -> None:
        connection = self.connection
        assert (connection._sink is not None) == connection.relaying
        assert (connection.failure is None) or (connection.state == "DISCARD" and connection.leftover == b"")
        assert not (connection.state == "HEAD" and connection.raw_head is not None)
        assert len(connection.leftover) <= HOLD_LIMIT or connection.transport.paused

    def choices(self) -> list:
        """What asyncio and a coroutine may do now."""
        connection, may = self.connection, [self.discard, self.detach]
        if self.incoming and not connection.transport.paused:
            may += [self.bytes] * 6
        if connection.state == "HOLD" and connection.raw_head is not None and not self.body_known:
            may += [self.expect_body] * 4
        if self.body_known and connection.body_done and connection.state == "HOLD":
            may += [self.expect_head] * 4
        if self.body_known and not connection.body_done and connection.state == "HOLD":
            may += [self.relay] * 4 + [self.take_whole] * 2
        if connection.state == "HOLD" and self.expecting:
            may = [self.expect_head, *([self.bytes] if self.incoming else [])]
        if connection.state == "DISCARD" and connection.failure is not None and self.body_known:
            may.append(self.relay)
        return may

    def bytes(self) -> None:
        size = 1 + self.pick(len(self.incoming))
        piece, self.incoming = self.incoming[:size], self.incoming[size:]
        self.happens("bytes", lambda: self.connection.data_received(piece))

    def expect_head(self) -> None:
        self.collect()
        self.expecting = self.body_known = False
        self.happens("expect_head", self.connection.expect_head)

    def expect_body(self) -> None:
        head = framing.request_head(self.connection.raw_head)
        self.heads.append(self.connection.raw_head)
        self.body_known = True
        self.basin = Basin()
        self.happens("expect_body", lambda: self.connection.expect_body(head.framing))

    def relay(self) -> None:
        self.happens("relay_to", lambda: self.connection.relay_to(self.basin))

    def take_whole(self) -> None:
        whole = self.happens("take_whole", self.connection.take_whole)
        self.basin.body += whole or b""

    def detach(self) -> None:
        self.happens("detach", self.connection.detach)

    def discard(self) -> None:
        if self.pick(10) == 0:
            self.happens("discard", self.connection.discard)

    def collect(self) -> None:
        if self.body_known and self.connection.body_done:
            self.bodies.append(self.basin.body)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            may = self.choices()
            may[self.pick(len(may))]()


@pytest.mark.interpreted("a connection of neither side is a class of the test, and a compiled one has no such heirs")
@settings(deadline=None, max_examples=60)
@given(st.data(), st.lists(st.sampled_from([*MESSAGES]), max_size=4), st.sampled_from([b"", BAD_HEAD, BAD_CHUNK]))
def test_whatever_happens_the_table_says_what_follows(data, messages, end):
    run = Run(
        lambda below: data.draw(st.integers(0, below - 1)), b"".join(messages) + end, holding=data.draw(st.booleans())
    )
    run.run(data.draw(st.integers(0, 60)))
    run.collect()
    sent = [MESSAGES[message] for message in messages]
    heads = [message[: message.index(b"\r\n\r\n") + 4] for message in messages] + [CHUNKED] * (end == BAD_CHUNK)
    assert run.heads == heads[: len(run.heads)]
    assert run.bodies == sent[: len(run.bodies)]
    assert end or run.connection.failure is None


@pytest.mark.interpreted("a connection of neither side is a class of the test, and a compiled one has no such heirs")
def test_every_row_happens():
    chance, seen = random.Random(1), set()
    for number in range(1500):
        incoming = b"".join(chance.choices([*MESSAGES], k=number % 3)) + chance.choice([b"", BAD_HEAD, BAD_CHUNK])
        run = Run(chance.randrange, incoming, holding=bool(number % 2))
        run.run(50)
        seen |= run.seen
    assert seen == TABLE.keys()


@pytest.mark.parametrize("name", ["_state", "_sink", "_inbox"])
def test_nobody_but_the_connection_writes_its_state(name):
    folder = module.__file__.rpartition("/")[0]
    for other in ("listener", "upstream_pool", "server", "proxy", "client"):
        with open(f"{folder}/{other}.py") as source:
            assert re.search(rf"\.{name}\b *(=|\+=)(?!=)", source.read()) is None
