"""The reading half of a connection, either side: it cuts bytes into heads and bodies, and passes bodies straight on.

A connection decides nothing. One coroutine per client connection calls expect_head, expect_body, relay_to, detach and
discard, in that order, on the client's connection and on the upstream's; asyncio calls data_received. Whatever that
coroutine may be waiting for (a head, a body's end, a loss, a deadline) wakes the one Wakeup that both connections
share, and it looks at their state itself: no event is lost, none needs a queue.

Where the next byte goes is the connection's state. This table is the whole of it; tests/http/test_connection_states.py
reads it from here and holds the code to it. What has no row is never called.

    state    event        action                                                                     next state
    HEAD     bytes        keep what begins a head; the head is whole: set raw_head, keep the rest     HEAD HOLD
    HEAD     malformed    set failure, forget what came (RFC 9112, section 2.2)                       DISCARD
    HEAD     detach       nothing                                                                    HEAD
    HEAD     discard      forget what comes                                                          DISCARD
    HOLD     bytes        keep them; decode a chunked body; over HOLD_LIMIT pause the sender          HOLD
    HOLD     malformed    set failure: a chunk is malformed (RFC 9112, section 7.1)                   DISCARD
    HOLD     expect_head  read what was kept as a head                                               HEAD HOLD DISCARD
    HOLD     expect_body  know where the body ends (RFC 9112, section 6.3), decode what was kept      HOLD DISCARD
    HOLD     take_whole   hand out a body that is here to its end                                    HOLD
    HOLD     relay_to     hand what was kept to the sink; there is more to come: stay attached        BODY HOLD
    HOLD     detach       nothing                                                                    HOLD
    HOLD     discard      forget what was kept and what comes                                        DISCARD
    BODY     bytes        hand them to the sink; the body's end: end it there, keep the rest          BODY HOLD
    BODY     malformed    set failure, leave the sink without an end                                 DISCARD
    BODY     detach       leave the sink; what comes is kept                                         HOLD
    BODY     discard      leave the sink; forget what comes                                          DISCARD
    DISCARD  bytes        drop them                                                                  DISCARD
    DISCARD  relay_to     nothing, after a failure: nobody gets a body that cannot be trusted         DISCARD
    DISCARD  detach       nothing                                                                    DISCARD
    DISCARD  discard      nothing                                                                    DISCARD

In every state the loss of the connection sets `lost`; the state stays, for what had arrived may still be read. BODY is
the one state with a sink, and raw_head, failure, body_done and lost are all that others look at: only this module
writes the state. A client's connection begins in HOLD, until its coroutine runs; BioT's in HEAD, so that what comes
before a request is noticed.

A chunked body is decoded as it arrives, whoever it may be for and even before that is known: what is wrong with it is
known, too, before the head that it belongs to goes anywhere (RFC 9112, section 11.2: smuggling).
"""

from __future__ import annotations

import asyncio
from typing import Final

from biot_sidecar.errors import Failure
from biot_sidecar.http.chunked import ChunkedDecoder
from biot_sidecar.http.connection_output import Sender
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.framing import BadFraming
from biot_sidecar.http.interfaces import Sink
from biot_sidecar.http.messages import BODY_CHUNKED, BODY_LENGTH, BODY_NONE, Framing, Headers

HOLD_LIMIT: Final = 64 * 1024
"""Bytes that wait for their reader before the sender is told to pause."""
PIECES_MOST: Final = 16
"""Chunks that go on as they came, of those that came at once; more of them go on as one."""
PIECES_PER_TURN: Final = 2048
"""Chunks of one read after which other connections have their turn."""

# What the next byte belongs to. Plain numbers, not an Enum: a member look-up costs 0.1 us.
_HEAD: Final = 0
_BODY: Final = 1
_HOLD: Final = 2  # to something nobody has asked for yet
_DISCARD: Final = 3  # to nobody: a rejected upload
STATES: Final = ("HEAD", "BODY", "HOLD", "DISCARD")
"""Their names, by number."""


class Connection(Sender):
    """The byte side of one connection, an asyncio.Protocol; listener and upstream add what is theirs."""

    __slots__ = (
        "_ahead",
        "_ahead_size",
        "_decoder",
        "_framing",
        "_inbox",
        "_left",
        "_partial",
        "_reading_paused",
        "_sink",
        "_state",
        "_trailers",
        "body_bytes",
        "body_done",
        "failure",
        "raw_head",
    )

    def __init__(self, wakeup: Wakeup, *, holding: bool = False) -> None:
        super().__init__(wakeup)
        self.raw_head: bytes | None = None
        self.failure: Failure | None = None  # what arrived cannot be trusted
        self.body_done = True  # the current message's body has been read to its end
        self.body_bytes = 0  # body bytes read of the current message
        self._state = _HOLD if holding else _HEAD
        self._partial = bytearray()
        self._inbox = b""
        self._framing = Framing(BODY_NONE)
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._ahead: list[bytes] = []  # of a chunked body, decoded and not asked for yet
        self._ahead_size = 0  # bytes that arrived for it
        self._sink: Sink | None = None
        self._trailers: Headers = []
        self._reading_paused = False

    # ---- asyncio's callbacks

    def data_received(self, data: bytes) -> None:
        self.activity += 1
        state = self._state
        if state == _HEAD:
            self._head_bytes(data)
        elif state == _BODY:
            self._body_bytes(data)
        elif state == _HOLD:
            self._hold(data)

    # ---- what others may ask

    @property
    def state(self) -> str:
        """The state's name in the table above."""
        return STATES[self._state]

    @property
    def head_begun(self) -> bool:
        """True while part of a head has arrived."""
        return bool(self._partial)

    @property
    def awaits_head(self) -> bool:
        """True between two messages: nothing of the next head has arrived."""
        return self._state == _HEAD and not self._partial

    @property
    def relaying(self) -> bool:
        """True while a body goes on to a sink as it arrives."""
        return self._state == _BODY

    # ---- reading

    def expect_head(self) -> None:
        """The next bytes begin a message; those already here count."""
        self.raw_head = None
        self._decoder = None
        self._state = _HEAD
        if leftover := self._inbox:
            self._inbox = b""
            self._head_bytes(leftover)
        if self._reading_paused:
            self.resume_reading()

    def _head_bytes(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n")
        if end < 0 or self._partial or data[0] in b"\r\n":
            data, end = self._piece_together(data)
            if end < 0:
                return
        end += 4
        self._state = _HOLD
        if end == len(data):
            self.raw_head = data
        else:
            self.raw_head, self._inbox = data[:end], data[end:]
        self._head_arrived()

    def _head_arrived(self) -> None:
        self.wakeup.wake()

    def _piece_together(self, data: bytes) -> tuple[bytes, int]:
        """A head that comes in pieces, or after empty lines: what there is of it, and where it ends; -1: not yet."""
        partial = self._partial
        before = len(partial)
        partial += data
        before = max(0, before - self._skip_empty_lines(partial))
        end = partial.find(b"\r\n\r\n", max(0, before - 3))
        if end >= 0:
            data = bytes(partial)
            partial.clear()
        elif (failure := self._partial_failure(partial, before)) is not None:
            self._fail(failure)
        return data, end

    def _skip_empty_lines(self, partial: bytearray) -> int:
        """Drop empty lines before a head where they are allowed; how many bytes that were."""
        return 0

    def _partial_failure(self, partial: bytearray, before: int) -> Failure | None:
        """What is wrong with a head of which `partial` has arrived, the first `before` bytes judged already."""
        raise NotImplementedError

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._state = _DISCARD
        self._partial.clear()
        self._drop_held()
        self.wakeup.wake()

    def _drop_held(self) -> None:
        self._inbox = b""
        self._ahead = []

    def _hold(self, data: bytes) -> None:
        decoder = self._decoder
        if decoder is not None and not (self.body_done or decoder.finished):
            self._decode_ahead(decoder, data)
        else:
            self._inbox += data
        if self._ahead_size + len(self._inbox) > HOLD_LIMIT:
            self.pause_reading()

    def _decode_ahead(self, decoder: ChunkedDecoder, data: bytes) -> None:
        self._ahead_size += len(data)
        try:
            pieces, used = decoder.feed(data)
        except BadFraming as error:
            self._fail(self._body_failure(str(error)))
            return
        self._ahead += pieces if len(pieces) <= PIECES_MOST else [b"".join(pieces)]
        if decoder.finished:
            self._inbox = data[used:]

    @property
    def leftover(self) -> bytes:
        """Bytes that arrived behind the current message."""
        return self._inbox

    def expect_body(self, framing: Framing) -> None:
        """The head is read; a body framed like this follows it. It is held until relay_to says where it goes."""
        self.body_bytes = 0
        self._framing = framing
        self._left = framing.length
        body = framing.body
        self.body_done = body is BODY_NONE or (body is BODY_LENGTH and not self._left)
        if body is not BODY_CHUNKED:
            self._decoder = None
            return
        self._decoder = ChunkedDecoder()
        self._trailers = []
        self._ahead_size = 0
        if leftover := self._inbox:
            self._inbox = b""
            self._hold(leftover)

    @property
    def body_here(self) -> bool:
        """True when all of the current message's body has arrived, read or not."""
        if self.body_done:
            return True
        decoder = self._decoder
        if decoder is not None:
            return decoder.finished
        return self._framing.body is BODY_LENGTH and len(self._inbox) >= self._left

    def take_whole(self) -> bytes | None:
        """The body, if all of it is here already and unread; the usual case, and the cheap one. None: relay it."""
        left = self._left
        if left == 0 or len(self._inbox) < left or self._framing.body is not BODY_LENGTH or self.body_done:
            return None
        inbox = self._inbox
        body, self._inbox = (inbox, b"") if len(inbox) == left else (inbox[:left], inbox[left:])
        self._left = 0
        self.body_bytes = left
        self.body_done = True
        return body

    def relay_to(self, sink: Sink) -> None:
        """Send the body's rest there, from now on as it arrives; nothing of one that cannot be trusted."""
        if self.body_done:
            sink.end_body(self._trailers)
            return
        if self.failure is not None:
            return
        self.resume_reading()
        self._sink = sink
        sink.attach(self)
        self._state = _BODY
        decoder = self._decoder
        if decoder is not None:
            self._deliver_ahead(decoder)
        elif leftover := self._inbox:
            self._inbox = b""
            self._body_bytes(leftover)

    def _deliver_ahead(self, decoder: ChunkedDecoder) -> None:
        pieces, self._ahead, self._ahead_size = self._ahead, [], 0
        if pieces:
            self._deliver(pieces)
        if decoder.finished:
            self._finish_body(decoder.trailers)

    def detach(self) -> None:
        """Stop relaying; what comes next is held."""
        if self._sink is not None:
            self._sink.attach(None)
            self._sink = None
        if self._state == _BODY:
            self._state = _HOLD

    def discard(self) -> None:
        """Read and forget whatever still comes."""
        self.detach()
        self._state = _DISCARD
        self._drop_held()
        self.resume_reading()

    def _body_bytes(self, data: bytes) -> None:
        kind = self._framing.body
        if kind is BODY_LENGTH:
            if len(data) > self._left:
                self._inbox = data[self._left :]
                data = data[: self._left]
            self._left -= len(data)
            self._deliver([data])
            if not self._left:
                self._finish_body([])
        elif kind is BODY_CHUNKED:
            self._chunk_bytes(data)
        else:
            self._deliver([data])

    def _chunk_bytes(self, data: bytes) -> None:
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 - set by expect_body
        try:
            pieces, used = decoder.feed(data)
        except BadFraming as error:
            self.detach()
            self._fail(self._body_failure(str(error)))
            return
        if pieces:
            # Chunks of a byte or two would cost a hundred times their weight on their further way.
            self._deliver(pieces if len(pieces) <= PIECES_MOST else [b"".join(pieces)])
        if decoder.finished:
            self._inbox = data[used:]
            self._finish_body(decoder.trailers)
        elif len(pieces) > PIECES_PER_TURN:
            self._take_turns()

    def _take_turns(self) -> None:
        """Let other connections have their turn; the loop reads from one as long as it finds something there."""
        self.pause_reading()
        asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._sink is None or not self._sink.write_paused:
            self.resume_reading()

    def _body_failure(self, reason: str) -> Failure:
        raise NotImplementedError

    def _deliver(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.body_bytes += len(piece)
        if self._sink is not None:  # pragma: no branch - for the types: nothing is delivered without one
            self._sink.write_body(pieces)

    def _finish_body(self, trailers: Headers) -> None:
        sink = self._sink
        self.detach()
        self._state = _HOLD
        self.body_done = True
        self._trailers = trailers
        if sink is not None:
            sink.end_body(trailers)
        self.wakeup.wake()

    def pause_reading(self) -> None:
        if not self._reading_paused and not self.lost:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and not self.lost:
            self._reading_paused = False
            self.transport.resume_reading()
