"""A short, repeatable run of each fuzzer; `make fuzz` runs them for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import seeds
from tests.fuzz.naive import NaiveChunks, NaiveRefusal, naive_request
from tests.support import wants

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.thorough
@wants.needs_module("atheris")
@pytest.mark.parametrize(("name", "runs"), [("fuzz_framing", 40_000), ("fuzz_wire", 1500)])
def test_a_fuzzer_finds_nothing_in_a_bounded_run(name, runs, tmp_path):
    seeds.plant(tmp_path)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            f"tests.fuzz.{name}",
            f"-runs={runs}",
            "-seed=1",
            "-max_len=400",
            "-timeout=20",
            f"-dict={HERE / 'http.dict'}",
            f"-artifact_prefix={tmp_path}/",
            str(tmp_path / name),
        ],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=600,  # a bound on one that hangs; that no input takes long is libFuzzer's to say
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert f"Done {runs} runs" in run.stderr


@pytest.mark.parametrize("seed", [one for one in seeds.FRAMING if one[0] == 0 and one[1:2] != b"+"])
def test_the_naive_reader_takes_what_is_valid(seed):
    assert naive_request(seed[1:])[0] == b"GET"


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"]
)
def test_the_naive_reader_refuses_what_is_not(raw):
    with pytest.raises(NaiveRefusal):
        naive_request(raw)


def test_the_naive_reader_reads_chunks():
    reader = NaiveChunks(seeds.CHUNKS + b"more")
    assert (reader.payload, reader.used) == (b"hello", len(seeds.CHUNKS))
