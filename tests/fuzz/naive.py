"""A second reader of the same grammar, slow and plain, written from RFC 9112 alone: what it refuses nobody may take."""

from __future__ import annotations

TCHAR = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
DIGITS = frozenset(b"0123456789")
HEX = frozenset(b"0123456789abcdefABCDEF")


class NaiveRefusal(Exception):
    """Not HTTP, to a reader without mercy."""


def insist(condition: bool, why: str) -> None:
    if not condition:
        raise NaiveRefusal(why)


def lines_of(raw: bytes) -> list[bytes]:
    """The lines of a head, each free of CR and LF."""
    insist(raw.endswith(b"\r\n\r\n"), "the end")
    lines = raw[:-4].split(b"\r\n")
    insist(not any(b"\r" in line or b"\n" in line for line in lines), "a bare CR or LF")
    return lines


def fields_of(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Field lines by RFC 9112, section 5: no folding, no white space before the colon, no control characters."""
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        insist(bool(colon and name) and all(byte in TCHAR for byte in name), "a field's name")
        value = value.strip(b" \t")
        insist(all(byte == 9 or (byte >= 0x20 and byte != 0x7F) for byte in value), "a field's value")
        fields.append((name.lower(), value))
    return fields


def naive_request(raw: bytes) -> tuple[bytes, bytes, int | None, bool]:
    """Method, target, Content-Length and whether chunks follow."""
    start, *rest = lines_of(raw)
    parts = start.split(b" ")
    insist(len(parts) == 3, "the request line")
    method, target, version = parts
    insist(bool(method) and all(byte in TCHAR for byte in method), "the method")
    insist(bool(target) and all(byte > 0x20 and byte != 0x7F and byte != 0x23 for byte in target), "the target")
    insist(version in {b"HTTP/1.0", b"HTTP/1.1"}, "the version")
    fields = fields_of(rest)
    hosts = [value for name, value in fields if name == b"host"]
    insist(len(hosts) == 1 or (not hosts and version == b"HTTP/1.0"), "Host")
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    insist(len(lengths) + len(codings) <= 1, "two ways to frame one body")
    insist(all(value and all(byte in DIGITS for byte in value) for value in lengths), "Content-Length")
    insist(all(value.lower() == b"chunked" for value in codings), "Transfer-Encoding")
    insist(not codings or version == b"HTTP/1.1", "chunks in HTTP/1.0")
    return method, target, int(lengths[0]) if lengths else None, bool(codings)


class NaiveChunks:
    """A whole chunked body, read in one go: `payload`, and how many bytes it `used`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.used = 0
        self.payload = b""
        while size := self._size():
            self.payload += self._take(size)
            insist(self._take(2) == b"\r\n", "a chunk's end")
        trailers = []
        while line := self._line():
            trailers.append(line)
        fields_of(trailers)

    def _size(self) -> int:
        digits = self._line().partition(b";")[0].rstrip(b" \t")
        insist(bool(digits) and all(byte in HEX for byte in digits), "a chunk's size")
        return int(digits, 16)

    def _line(self) -> bytes:
        end = self._data.find(b"\r\n", self.used)
        insist(end >= 0, "a line's end")
        line = self._take(end - self.used)
        self._take(2)
        insist(b"\r" not in line and b"\n" not in line, "a bare CR or LF")
        return line

    def _take(self, size: int) -> bytes:
        piece = self._data[self.used : self.used + size]
        insist(len(piece) == size, "too few bytes")
        self.used += size
        return piece
