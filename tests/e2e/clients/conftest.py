"""One simulator and one sidecar with the shipped rules, and the clients that call them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import program, seen
from tests.e2e.clients.asked import Client, Curl, talker
from tests.support.form import SYSTEM
from tests.support.sidecar import SECRET, USER
from tests.support.simulated_biot import simulated_biot


@dataclass(frozen=True)
class Stage:
    """Where everything is: the simulated BioT, and the sidecar's three addresses."""

    biot: str
    url: str
    url6: str
    socket: Path

    def arrived(self, path: str) -> dict[str, Any]:
        """The last request that BioT got for this path."""
        return [one for one in seen(self.biot) if one["path"] == path][-1]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("clients")
    socket = folder / "sidecar.sock"
    # One login is enough however long the tests take, and whichever of them comes first.
    with simulated_biot(token_life=86_400.0) as biot:
        env = {
            "SIDECAR_FRESH_FOR": "24h",
            "BIOT_BASE_URL": biot,
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
            "SIDECAR_LISTEN": "127.0.0.1:0, [::1]:0" + f", unix:{socket}" * (SYSTEM != "windows"),
        }
        with program(folder, "sidecar", [sys.executable, "-m", "biot_sidecar"], env) as running:
            where = running.first_line.removeprefix("biot-sidecar ready on ").partition(" -> ")[0]
            four, six, *unix = where.split(", ")
            assert unix == [f"unix:{socket}"] * (SYSTEM != "windows")
            yield Stage(biot, f"http://{four}", f"http://{six}", socket)
            assert running.stop() == 0
            assert "Traceback" not in running.log()
            assert not socket.exists()


@pytest.fixture(scope="module", params=["curl", "urllib", "fetch", "java"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Each client in turn."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "curl":
        yield Curl(folder)
        return
    with talker(request.param, folder) as running:
        yield running


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    return Curl(tmp_path)
