"""Inputs to begin with: valid traffic of each kind the fuzzers know, so that mutations start near what is taken."""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = b"GET /a?b HTTP/1.1\r\nHost: localhost\r\nX: \xff\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"
CHUNKS = b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"

FRAMING = [
    b"\x00" + HEAD + b"\r\n",
    b"\x00" + HEAD + b"Content-Length: 5\r\n\r\n",
    b"\x00" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    b"\x00+Connection: close, x\r\n\r\n",
    b"\x00GET / HTTP/1.0\r\n\r\n",
    b"\x01" + ANSWER + b"Content-Length: 5\r\n\r\n",
    b"\x01+Transfer-Encoding: chunked\r\n\r\n",
    b"\x02" + CHUNKS,
    b"\x02" + CHUNKS + HEAD,
    b"\x03X: y\r\nZ:\r\n\r\n",
]
WIRE = [
    b"\x00" + HEAD + b"\r\n" + HEAD + b"\r\n",
    b"\x00" + HEAD + b"Content-Length: 5\r\n\r\nhe\xfello",
    b"\x00" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    b"\x01" + CHUNKS + HEAD + b"\r\n",
    b"\x02" + ANSWER + b"Content-Length: 5\r\n\r\nhe\xfello",
    b"\x02HTTP/1.1 103 X\r\n\r\n" + ANSWER + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    b"\x02HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\n{}\xfe" + ANSWER + b"Content-Length: 0\r\n\r\n",
    b"\x03" + ANSWER + b"\r\nuntil close",
]


def plant(folder: Path) -> None:
    """Write each fuzzer's seeds into a folder of its name."""
    for name, seeds in (("fuzz_framing", FRAMING), ("fuzz_wire", WIRE)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / name / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    plant(Path(sys.argv[1]))
