"""Chunked bodies, read strictly and written plainly (RFC 9112, section 7.1)."""

from __future__ import annotations

import re
from typing import Final

from biot_sidecar.http.framing import FIELD_COUNT_LIMIT, FIELDS_LIMIT, BadFraming, hopeless
from biot_sidecar.http.header_fields import BadFields, parse_fields
from biot_sidecar.http.messages import Headers

EXTENSIONS_LIMIT: Final = 4096
"""Bytes of chunk extensions in one body; nobody uses them, attackers send them without end (CVE-2023-39326)."""
_SIZE_DIGITS: Final = 16
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)")
_PLAIN_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
LAST_CHUNK: Final = b"0\r\n\r\n"


class ChunkedDecoder:
    """Feed it what arrives; it hands out payload and stops at the body's last byte.

    Extensions are dropped, as a recipient may (RFC 9112, section 7.1.1). After `finished`, `trailers` holds the
    trailer section's fields.
    """

    __slots__ = ("_extensions", "_held", "_left", "_state", "finished", "trailers")

    def __init__(self) -> None:
        self._state = self._size_line
        self._held = bytearray()  # an unfinished size line or trailer section
        self._left = 0  # payload bytes still to come in this chunk
        self._extensions = 0
        self.finished = False
        self.trailers: Headers = []

    def feed(self, data: bytes) -> tuple[list[bytes], int]:
        """The payload in `data`, and how many bytes of it belong to this body. Raises BadFraming."""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end and not self.finished:
            if self._state == self._size_line and not self._held:
                at = _whole_chunks(data, at, pieces)
            if at < end:
                at = self._state(data, at, pieces)
        return pieces, at

    def _size_line(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        line, at = self._line(data, at, _SIZE_DIGITS + EXTENSIONS_LIMIT)
        if line is None:
            return at
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadFraming("a chunk size is malformed")
        self._extensions += len(match[2])
        if self._extensions > EXTENSIONS_LIMIT:
            raise BadFraming("chunk extensions are larger than 4 KiB")
        self._left = int(match[1], 16)
        if self._left >= 2**63:
            raise BadFraming("a chunk size is too large")
        self._state = self._payload if self._left else self._trailer_section
        return at

    def _payload(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        piece = data[at : at + self._left]
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = self._payload_end
        return at + len(piece)

    def _payload_end(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        need = 2 - len(self._held)
        self._held += data[at : at + need]
        if self._held != b"\r\n"[: len(self._held)]:
            raise BadFraming("a chunk does not end where its size says")
        if len(self._held) == 2:
            self._held.clear()
            self._state = self._size_line
        return min(at + need, len(data))

    def _trailer_section(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        held = self._held
        if not held:
            held += b"\r\n"  # so that an empty section, too, ends in CRLF CRLF
        before = len(held)
        held += data[at : at + FIELDS_LIMIT + 4]
        end = held.find(b"\r\n\r\n", max(0, before - 3))
        section_end = end + 4 if end >= 0 else len(held)
        if hopeless(held[:section_end], max(2, before)):
            raise BadFraming("the trailer section is malformed")
        if section_end > FIELDS_LIMIT:
            raise BadFraming("the trailer section is larger than 64 KiB")
        if end >= 0:
            self._finish(bytes(held[2:section_end]))
        return at + section_end - before

    def _finish(self, section: bytes) -> None:
        if section != b"\r\n":
            try:
                self.trailers = parse_fields(section)
            except BadFields as error:
                raise BadFraming(str(error)) from None
            if len(self.trailers) > FIELD_COUNT_LIMIT:
                raise BadFraming("the trailer section has more than 256 fields")
        self._held.clear()
        self.finished = True

    def _line(self, data: bytes, at: int, limit: int) -> tuple[bytes | None, int]:
        """The next line without its CRLF, or None while it is unfinished, and where reading goes on."""
        end = data.find(b"\n", at)
        stop = end + 1 if end >= 0 else len(data)
        held = self._held
        if len(held) + stop - at > limit + 2:
            raise BadFraming("chunk extensions are larger than 4 KiB")
        if end < 0:
            held += data[at:]
            if b"\r" in held[:-1]:
                raise BadFraming("a bare CR stands in a chunk size")
            return None, stop
        line = bytes(held) + data[at:stop]
        held.clear()
        if not line.endswith(b"\r\n"):
            raise BadFraming("a chunk size ends in a bare LF")
        return line[:-2], stop


def _whole_chunks(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the chunks that are here from end to end and plain, which most are, in a quarter of the time."""
    plain = _PLAIN_SIZE_LINE.match
    while (line := plain(data, at)) is not None:
        start = line.end()
        stop = start + int(line[1], 16)
        if stop == start or data[stop : stop + 2] != b"\r\n":
            break  # the last chunk, or one that is not all here, or a bad one
        pieces.append(data[start:stop])
        at = stop + 2
    return at


def encode_chunks(pieces: list[bytes]) -> list[bytes]:
    """`pieces` (none empty) as chunks, ready to be written one after the other."""
    chunks: list[bytes] = []
    for piece in pieces:
        chunks += (b"%x\r\n" % len(piece), piece, b"\r\n")
    return chunks


def encode_end(trailers: Headers) -> bytes:
    """The last chunk and the trailer section."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"
