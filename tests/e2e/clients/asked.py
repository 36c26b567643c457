"""Real HTTP clients behind one interface: curl, and programs in other languages that take calls line by line.

A call is a line on a program's stdin, its parts separated by tabs: method, URL, body, a file for the answer's body,
then header fields. The body is `none:`, `sized:FILE` or `streamed:FILE`. The program says a line in return: status,
then the answer's header fields; status 0 if there was no answer. One program makes all its calls, so that it keeps its
connections as it would in a plugin.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from tests.deploy.programs import PLAIN
from tests.support import wants

HERE = Path(__file__).parent
PATIENCE = 60.0
LANGUAGES = {
    "urllib": [sys.executable, str(HERE / "urllib_client.py")],
    "fetch": ["node", str(HERE / "fetch_client.mjs")],
    "java": ["java", "-XX:TieredStopAtLevel=1", str(HERE / "Client.java")],
}


@dataclass(frozen=True)
class Reply:
    """What a client made of an answer; `fields` are keyed by name in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(Protocol):
    """`streamed`: the body goes out without a length."""

    def __call__(
        self, method: str, url: str, *fields: str, body: bytes | None = None, streamed: bool = False
    ) -> Reply: ...


def reply(lines: list[str], body: bytes) -> Reply:
    """From a status and header fields."""
    assert lines[0] != "0", lines
    split = (line.split(": ", 1) for line in lines[1:] if ": " in line)
    return Reply(int(lines[0]), {name.lower(): value for name, value in split}, body)


class Talker:
    """A program that is asked line by line."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._numbers = count()

    def __call__(self, method: str, url: str, *fields: str, body: bytes | None = None, streamed: bool = False) -> Reply:
        number = next(self._numbers)
        asked, answered = self._folder / f"asked-{number}", self._folder / f"answered-{number}"
        what = "none:"
        if body is not None:
            asked.write_bytes(body)
            what = f"{'streamed' if streamed else 'sized'}:{asked}"
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("\t".join([method, url, what, str(answered), *fields]) + "\n")
        stdin.flush()
        assert select.select([stdout], [], [], PATIENCE)[0], f"no answer to {method} {url}"
        said = stdout.readline().rstrip("\n")
        assert said, "the client ended"
        return reply(said.split("\t"), answered.read_bytes() if answered.exists() else b"")


@contextmanager
def talker(language: str, folder: Path) -> Iterator[Client]:
    """A running client program; the test is skipped where its runtime is missing."""
    program, *words = LANGUAGES[language]
    found = wants.program(program)
    with subprocess.Popen(
        [found, *words], env=PLAIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Talker(process, folder)
        finally:
            process.kill()


class Curl:
    """curl, a process for each call. Extra `words` go to its command line."""

    def __init__(self, folder: Path) -> None:
        self._curl = wants.program("curl")
        self._folder = folder

    def __call__(
        self, method: str, url: str, *fields: str, body: bytes | None = None, streamed: bool = False, words: str = ""
    ) -> Reply:
        said, head, content = (self._folder / name for name in ("said", "head", "content"))
        for file in (said, head, content):
            file.unlink(missing_ok=True)
        command = [self._curl, "-sSgv", "--max-time", "30", "-D", str(head), "-o", str(content), *words.split()]
        command += ["--head"] if method == "HEAD" else ["-X", method]
        command += [word for field in fields for word in ("-H", field)]
        if body is not None:
            # -T - has no length and goes out in chunks.
            command += ["-T", "-"] if streamed else ["--data-binary", "@-"]
        ran = subprocess.run([*command, url], input=body or b"", capture_output=True, env=PLAIN, timeout=PATIENCE)
        said.write_bytes(ran.stderr)
        assert ran.returncode == 0, ran.stderr.decode()
        final = head.read_text("latin-1").replace("\r", "").rstrip("\n").split("\n\n")[-1].split("\n")
        lines = [final[0].split(" ")[1], *final[1:]]
        answered = content.read_bytes() if content.exists() and method != "HEAD" else b""  # of HEAD it keeps the head
        return reply(lines, answered)

    @property
    def said(self) -> str:
        """What curl told of its last call: `>` before lines sent, `<` before lines received."""
        return (self._folder / "said").read_text("latin-1").replace("\r", "")
