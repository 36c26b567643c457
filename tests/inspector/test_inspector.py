"""The inspector of one process: where its socket lies, and what it leaves behind."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import aiohttp
import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.inspector.inspector import Inspector

from tests.inspector.examples import finished


def report(error: BaseException) -> None:
    raise AssertionError("nothing goes wrong here") from error


async def ask(path: str, target: str) -> int:
    connector = aiohttp.UnixConnector(path)
    async with aiohttp.ClientSession("http://localhost", connector=connector) as http, http.get(target) as response:
        return response.status


async def test_serves_on_a_socket_in_a_folder_of_its_own() -> None:
    inspector = Inspector(report)
    await inspector.start()
    inspector.recorder.finished(finished())
    assert await ask(inspector.path, "/_sidecar/requests") == 200
    assert stat.S_IMODE(Path(inspector.path).parent.stat().st_mode) == 0o700
    await inspector.stop()


async def test_leaves_nothing_behind() -> None:
    inspector = Inspector(report)
    await inspector.start()
    await inspector.stop()
    assert not Path(inspector.path).parent.exists()


async def test_can_be_stopped_before_it_was_started() -> None:
    inspector = Inspector(report)
    await inspector.stop()
    assert not Path(inspector.path).parent.exists()


def test_says_so_when_there_is_no_place_for_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.devnull)
    with pytest.raises(BadSettings) as caught:
        Inspector(report)
    assert caught.value.problems == ["SIDECAR_INSPECT: no temporary folder for the inspector: Not a directory"]
