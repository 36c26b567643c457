"""What `docker compose up` starts, without it: each service's own command, environment, files and health check."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import DEADLINE, DEPLOY, PLAIN, ROOT, logins, program, seen
from tests.deploy.test_containers import DOCKERFILE, SERVICES, filled
from tests.deploy.test_examples import PATIENT
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e
IMAGE_CHECK = json.loads(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])
PROGRAMS = {
    "biot-sidecar": [sys.executable, "-m", "biot_sidecar"],
    "python": [sys.executable],
    "healthy": [str(DEPLOY / "docker" / "healthy")],
    "bash": ["bash"],
}
PORTS = (8080, 8787, 8788, 8789)


class Composition:
    """The services of the file on this machine: names are addresses of it, ports are free ones, mounts its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._here = {f":{port}": f":{free_port()}" for port in PORTS}
        self._here |= {f"/{name}:": "/127.0.0.1:" for name in SERVICES}
        self._here |= {f"/{name}/": "/127.0.0.1/" for name in SERVICES}

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """The service, once it is healthy."""
        with program(self._folder, name, self._command(name), self._environment(name), cwd=ROOT) as process:
            check = SERVICES[name]["healthcheck"].get("test", ["CMD", *IMAGE_CHECK])
            healthy = self._run(name, check[1:])
            assert healthy.returncode == 0, healthy.stdout + process.log()
            yield
            assert process.stop() == 0, process.log()

    def run(self, name: str) -> str:
        """What a service has said of which only an idle process is left."""
        shell, _, script = SERVICES[name]["command"]
        assert shell == "sh"
        ended = self._run(name, shlex.split(script.partition(" && ")[0]))
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def url(self, port: int) -> str:
        return f"http://127.0.0.1{self._here[f':{port}']}"

    def _run(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": DEADLINE}
        env = {**PLAIN, **self._environment(name)}
        return subprocess.run(self._words(name, words), env=env, cwd=ROOT, **both)

    def _command(self, name: str) -> list[str]:
        words = SERVICES[name].get("command", ["serve"])
        return self._words(name, words if "python" in words else ["biot-sidecar", *words])

    def _words(self, name: str, words: list[str]) -> list[str]:
        return [*PROGRAMS[words[0]], *(self._on_this_machine(name, word) for word in words[1:])]

    def _environment(self, name: str) -> dict[str, str]:
        said = SERVICES[name].get("environment", {})
        given = {key: self._on_this_machine(name, filled(text)) for key, text in said.items()}
        if name in {"sidecar", "simulator"}:  # the image's own, and what the network namespace does
            given["SIDECAR_ROUTES"] = str(ROOT / "config" / "routes.yaml")
            given["SIDECAR_LISTEN"] = f"127.0.0.1{self._here[':8787']}"
        else:
            given["SIDECAR_URL"] = self.url(8787)
        return given

    def _on_this_machine(self, name: str, text: str) -> str:
        for volume in SERVICES[name].get("volumes", []):
            outside, inside, _ = filled(volume).split(":")
            text = re.sub(rf"^{inside}(?=/)", str(ROOT / outside), text)
        text = re.sub(r"^(exec .*)/(8\d{3})$", lambda port: f"{port[1]}/{self._here[f':{port[2]}'][1:]}", text)
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text


@pytest.mark.slow
def test_the_event_goes_through_plugin_and_sidecar_to_the_simulator(tmp_path: Path) -> None:
    composition = Composition(tmp_path)
    assert [name for name in SERVICES if "profiles" not in SERVICES[name]] == [
        "pod",
        "sidecar",
        "plugin",
        "event",
        "simulator",
    ]
    with ExitStack() as up:
        for name in ("simulator", "sidecar", "plugin"):  # in the order of depends_on
            up.enter_context(composition.running(name))
        assert composition.run("event").startswith("the plugin answered 200: ")
        biot = composition.url(8788)
        calls = [(one["method"], one["token"]) for one in seen(biot) if one["path"] == PATIENT]
        assert calls == [("GET", "valid"), ("PATCH", "valid")]
        assert logins(biot) == 1


def depends(name: str) -> dict[str, Any]:
    return dict(SERVICES[name].get("depends_on", {}))


def test_services_start_in_the_order_in_which_they_need_each_other() -> None:
    pod = {"condition": "service_started", "restart": True}
    assert depends("sidecar") == {"pod": pod, "simulator": {"condition": "service_healthy"}}
    assert depends("plugin") == {"pod": pod, "sidecar": {"condition": "service_healthy"}}
    assert depends("event") == {"plugin": {"condition": "service_healthy"}}
