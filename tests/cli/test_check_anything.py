"""`biot-sidecar check` on any file at all: it ends with 0 or 1, and every line has its form."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from biot_sidecar.__main__ import main
from biot_sidecar.routing.file import load
from hypothesis import example, given, settings
from hypothesis import strategies as st

SHIPPED = (Path(__file__).resolve().parents[2] / "config" / "routes.yaml").read_bytes()
TEXTS = [
    "\n", "\r\n", "\r", "\t", " ", "  ", ":", ": ", "- ", "-", "?", "[", "]", "{", "}", ",", "#", "&a ", "*a", "* ",
    "!", "!!str ", "|", ">", "'", '"', "%", "@", "`", "---\n", "...\n", "<<: ", "~", "on", "yes", "0o7", "010", "1:30",
    "1e3", ".inf", "version: 1\n", "name: ", "match: ", "GET /", "{id}", "**", "deny: true", "timeout: 0", "tests:\n",
    "\\x", "é", "\ufeff", "\u2028", "\0", "\x1b",
]  # fmt: skip
PIECES = st.sampled_from([*(text.encode() for text in TEXTS), b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xff\xfe"])
EDIT = st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 40), st.lists(PIECES, max_size=4))


def edited(edits: list[tuple[int, int, list[bytes]]]) -> bytes:
    """The shipped file, something cut out and put in at some places."""
    data = SHIPPED
    for place, cut, put in edits:
        data = data[:place] + b"".join(put) + data[place + cut :]
    return data


FILES = st.one_of(
    st.lists(EDIT, max_size=4).map(edited), st.lists(PIECES, max_size=30).map(b"".join), st.binary(max_size=200)
)
LINE = re.compile(r"r\.yaml:[1-9][0-9]*:[1-9][0-9]*: (error|warning): \S.*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("anything")
    with contextlib.chdir(folder):
        yield folder


@settings(max_examples=300)
@given(data=FILES)
@example(data=b"")
@example(data=b"\xef\xbb\xbf\0\x80")
@example(data=b"[" * 5000)
@example(data=b"version: 1\nroutes: " + b"- " * 5000)
@example(data=b"version: 1\nroutes: [{name: a, match: GET /" + b"a/" * 5000 + b"}]")
@example(
    data=b"version: 1\nroutes: [{name: a, match: GET /" + b"a/" * 400 + b"}]\ntests: [{request: GET /" + b"a/" * 400
)
@example(data=b"version: 1\ndefaults: {timeout: " + b"9" * 5000 + b"s}")
@example(data=b"version: &a [*a]\n")
def test_whatever_the_file_holds_every_problem_is_a_line(folder, data):
    (folder / "r.yaml").write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["check", "--routes", "r.yaml"], {})
    lines = out.getvalue().split("\n")[:-1]
    if status == 0:
        assert re.fullmatch(r"r\.yaml: [0-9]+ routes?, .*", lines.pop())
    assert all(map(LINE.fullmatch, lines)), lines
    assert any(": error: " in line for line in lines) == (status == 1)
    assert err.getvalue().startswith("note: not set here")


@settings(max_examples=300)
@given(FILES, st.sampled_from(["GET", "*", "é"]), st.binary(max_size=30))
def test_a_table_that_is_taken_judges_every_request(data, method, path):
    table = load(data, "f").table
    if table is not None:
        table.verdict(method.encode(), b"/" + path)
        table.why(method.encode(), b"/" + path)
