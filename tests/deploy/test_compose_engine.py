"""`docker compose up` in a real engine: each part is killed once, and the next event is answered all the same.

Skipped without DOCKER_HOST. Needs the ports 8080 and 8788 of the engine's loopback, and the base image or a way to it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from deploy import sbom
from tests.deploy.engine import build
from tests.deploy.programs import ROOT
from tests.support import wants

PROJECT = "biot-sidecar-test"
DEADLINE = 60.0
"""Seconds in which a service comes back; the engine waits longer with each crash."""
SENDER = ["python", "-u", "/examples/send_event.py", "http://plugin:8080/"]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1200),
    pytest.mark.slow,
    pytest.mark.skipif("DOCKER_HOST" not in os.environ, reason=wants.reason("docker")),
    wants.needs("docker"),
]


class Engine:
    """The project's containers, asked and ended through the docker command."""

    def __init__(self, secrets: Path) -> None:
        self.secrets = secrets
        self._env = {**os.environ, "SERVICE_USER_FOLDER": str(secrets)}
        for name in ("BIOT_BASE_URL", "BIOT_SERVICE_USER_ID"):
            self._env.pop(name, None)

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", *words]
        return subprocess.run(command, cwd=ROOT, env=self._env, capture_output=True, text=True, timeout=1000)

    def compose(self, *words: str) -> str:
        ran = self.docker("compose", "--project-name", PROJECT, *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def state(self, service: str) -> dict[str, Any]:
        (found,) = json.loads(self.docker("inspect", f"{PROJECT}-{service}-1").stdout)
        return dict(found["State"])

    def kill(self, service: str) -> None:
        """As the kernel would: `docker kill` counts as the operator's wish, and what he ended is not started again."""
        killer = f"import os; os.kill({self.state(service)['Pid']}, 9)"
        alone = ["--rm", "--pid", "host", "--network", "none", "--user", "10001"]
        ran = self.docker("run", *alone, "--entrypoint", "python", "biot-sidecar:local", "-c", killer)
        assert ran.returncode == 0, ran.stderr

    def event(self) -> str:
        """What the plugin's caller hears, of another event."""
        ran = self.docker("compose", "--project-name", PROJECT, "exec", "-T", "event", *SENDER)
        return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Everything up and healthy."""
    secrets = tmp_path_factory.mktemp("service-user")
    secrets.chmod(0o755)
    write(secrets / "secret-key", (ROOT / "deploy" / "docker" / "simulator-user" / "secret-key").read_text())
    running = Engine(secrets)
    build(os.environ)
    try:
        running.compose("up", "--detach", "--wait", "--wait-timeout", "120")
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "5")


def write(path: Path, text: str) -> None:
    """A new file in the old one's place, which any user may read."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def until(came_true: Callable[[], bool], told: Callable[[], object]) -> None:
    end = monotonic() + DEADLINE
    while not came_true():
        assert monotonic() < end, told()
        sleep(0.2)


def test_the_event_of_the_start_was_answered(engine: Engine) -> None:
    until(lambda: "the plugin answered 200: " in engine.compose("logs", "event"), lambda: engine.compose("logs"))


@pytest.mark.parametrize("service", ["sidecar", "plugin", "simulator"])
def test_the_next_event_is_answered_after_a_part_was_killed(engine: Engine, service: str) -> None:
    before = engine.state(service)["StartedAt"]
    engine.kill(service)
    until(lambda: engine.state(service)["StartedAt"] != before, lambda: engine.state(service))
    until(lambda: "the plugin answered 200: " in engine.event(), lambda: engine.compose("logs"))
    until(lambda: engine.state(service)["Health"]["Status"] == "healthy", lambda: engine.state(service))


LISTS = """
import importlib.metadata, json
print(json.dumps({one.metadata["Name"]: one.version for one in importlib.metadata.distributions()}))
"""


def test_the_image_holds_what_its_list_of_components_says(engine: Engine) -> None:
    alone = ["--rm", "--network", "none", "--entrypoint", "/opt/biot-sidecar/bin/python"]
    ran = engine.docker("run", *alone, "biot-sidecar:local", "-c", LISTS)
    found = {sbom.plain(name): version for name, version in json.loads(ran.stdout).items()}
    listed = json.loads((ROOT / "deploy" / "sbom" / "image.cdx.json").read_text())
    told = {sbom.plain(one["name"]): one["version"] for one in [*listed["components"], listed["metadata"]["component"]]}
    beside = {"mypy", "python", "debian"}  # its runtime alone, and what is no package
    assert {name: version for name, version in told.items() if name not in beside} == found


def test_a_health_check_costs_little(engine: Engine) -> None:
    told = engine.compose("exec", "-T", "sidecar", "bash", "-c", "healthy && times")
    user, system = (float(part.removeprefix("0m").removesuffix("s")) for part in told.splitlines()[-1].split())
    assert user + system < 0.03, told


def test_a_secret_that_was_replaced_by_rename_arrives(engine: Engine) -> None:
    write(engine.secrets / "secret-key", "another")
    reader = "print(open('/run/secrets/biot/secret-key').read())"
    assert engine.compose("exec", "-T", "sidecar", "python", "-c", reader).strip() == "another"
