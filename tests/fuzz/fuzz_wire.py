"""Coverage-guided fuzzing of the whole wire in memory: what reaches BioT is clean, and nothing hangs or falls over.

Run as a program: `python -m tests.fuzz.fuzz_wire [libFuzzer options]`.
"""

from __future__ import annotations

import asyncio
import sys

import atheris

with atheris.instrument_imports(include=["biot_sidecar"]):
    from tests.fuzz.naive import NaiveChunks, NaiveRefusal, fields_of, insist, lines_of, naive_request
    from tests.support.fakes import FakeSidecar

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
CUT = b"\xfe"
"""Where one write ends and the next begins."""
_loop = asyncio.new_event_loop()


def one_input(data: bytes) -> None:
    """The first byte says who talks nonsense: the plugin, the plugin in a body, or BioT."""
    if data:
        _loop.run_until_complete(scenario(data[0] % 4, data[1:].split(CUT)))


async def scenario(kind: int, pieces: list[bytes]) -> None:
    sidecar = FakeSidecar()
    plugin = await sidecar.ask((b"", POST_HEAD, GET, GET)[kind])
    for piece in pieces:
        if kind < 2:
            await plugin.say(piece)
        elif sidecar.pool.dialled:
            sidecar.pool.dialled[-1].say(piece)
            await sidecar.settle()
    if kind == 3 and sidecar.pool.dialled:
        sidecar.pool.dialled[-1].end()
        await sidecar.settle()
    if kind < 2:
        sidecar.listener.is_half_closed = lambda transport: True
        plugin.transport.end()
        await sidecar.settle()
    for transport in sidecar.pool.dialled:
        insist_on_clean(transport.out)
    await sidecar.close()


POST_HEAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def insist_on_clean(out: bytes) -> None:
    """Requests that a strict reader takes, one after the other, each with our Host and token; the last may be cut."""
    while b"\r\n\r\n" in out:
        end = out.index(b"\r\n\r\n") + 4
        head, out = out[:end], out[end:]
        _, target, length, chunked = naive_request(head)
        fields = fields_of(lines_of(head)[1:])
        insist([value for name, value in fields if name == b"host"] == [b"api.example"], "a Host not ours")
        tokens = [value for name, value in fields if name == b"authorization"]
        insist(len(tokens) == 1 and tokens[0].startswith(b"Bearer jwt-"), "a token not ours")
        insist(target.startswith(b"/base/") or target == b"*", "a path not ours")
        if chunked:
            try:
                out = out[NaiveChunks(out).used :]
            except NaiveRefusal as refusal:
                insist(str(refusal) in {"too few bytes", "a line's end"}, f"chunks of ours: {refusal}")
                return
        elif length is not None:
            out = out[length:]
    insist(not out or not out.isspace(), "bytes between requests")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
