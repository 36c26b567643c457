"""The example plugins, each as a real process between BioT's event and the real sidecar, in front of the simulator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.deploy.programs import DEPLOY, PLAIN, ROOT, call, logins, program, seen, sidecar
from tests.support import wants
from tests.support.simulated_biot import simulated_biot

EXAMPLES = DEPLOY / "examples"
PYTHON = str(EXAMPLES / "python" / "plugin.py")
EVENT = json.loads((EXAMPLES / "event.json").read_text())
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"hooktype": "NOTIFICATION", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


LANGUAGES = ["python", "javascript", "java", pytest.param("go", marks=[pytest.mark.slow, pytest.mark.thorough])]


@pytest.fixture(scope="module")
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How the example of a language starts; its tests are skipped where the language is not installed."""
    match request.param:
        case "python":
            return [sys.executable, PYTHON]
        case "javascript":
            return [wants.program("node"), str(EXAMPLES / "javascript" / "plugin.mjs")]
        case "java":
            quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            return [wants.program("java"), *quick, str(EXAMPLES / "java" / "Plugin.java")]
        case _:
            return [str(compiled_go(EXAMPLES / "go" / "main.go", tmp_path_factory.mktemp("go")))]


def compiled_go(source: Path, folder: Path) -> Path:
    """The program; what Go has compiled of its library is kept for the next run."""
    env = {**PLAIN, "GOCACHE": str(ROOT / "build" / "go"), "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    build = [wants.program("go"), "build", "-o", str(folder / "plugin"), str(source)]
    built = subprocess.run(build, env=env, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder / "plugin"


@contextmanager
def plugin(command: list[str], folder: Path, sidecar_url: str) -> Iterator[str]:
    """The running example; yields its address."""
    env = {"SIDECAR_URL": sidecar_url, "PLUGIN_LISTEN": "127.0.0.1:0"}
    with program(folder, "plugin", command, env) as running:
        yield "http://" + running.first_line.split()[2].rstrip(",") + "/"


@pytest.mark.parametrize("command", LANGUAGES, indirect=True)
def test_an_example_changes_a_patient_without_a_line_of_login_code(command: list[str], tmp_path: Path) -> None:
    with simulated_biot() as biot, sidecar(tmp_path, biot) as url, plugin(command, tmp_path, url) as address:
        first = call("POST", address, EVENT, **HEADERS)
        again = call("POST", address, EVENT, **HEADERS)
        calls = [(one["method"], one["token"], one["interception"]) for one in seen(biot) if one["path"] == PATIENT]
        assert first["changed"] is True
        assert again == {**first, "changed": False}
        # The rules decide about interception: off for what is read, on for the patient's update.
        assert calls == [("GET", "valid", False), ("PATCH", "valid", True), ("GET", "valid", False)]
        assert {one["traceId"] for one in seen(biot) if one["path"] == PATIENT} == {TRACE}
        assert logins(biot) == 1


@pytest.mark.parametrize("command", LANGUAGES, indirect=True)
def test_an_example_passes_biots_error_on(command: list[str], tmp_path: Path) -> None:
    unknown = {**EVENT, "data": {"entity": {"_id": "00000000-0000-0000-0000-000000000000"}}}
    with simulated_biot() as biot, sidecar(tmp_path, biot) as url, plugin(command, tmp_path, url) as address:
        with pytest.raises(HTTPError) as refused:
            call("POST", address, unknown, **HEADERS)
        with refused.value as answer:
            assert answer.code == 404
            assert json.load(answer)["code"].endswith("NOT_FOUND")


@pytest.mark.parametrize("command", LANGUAGES, indirect=True)
def test_an_event_without_a_trace_is_served_as_well(command: list[str], tmp_path: Path) -> None:
    with simulated_biot() as biot, sidecar(tmp_path, biot) as url, plugin(command, tmp_path, url) as address:
        assert call("POST", address, EVENT, hooktype="NOTIFICATION")["changed"] is True
        with pytest.raises(HTTPError) as refused:
            call("POST", address, {"no": "event"})
        with refused.value as answer:
            assert (answer.code >= 400, "code" in json.load(answer)) == (True, True)


@pytest.mark.parametrize("command", ["python", "javascript"], indirect=True)
def test_an_example_ends_on_sigterm_by_itself(command: list[str], tmp_path: Path) -> None:
    """The first process of a container gets no signal that it does not ask for."""
    with program(tmp_path, "plugin", command, {"PLUGIN_LISTEN": "127.0.0.1:0"}) as running:
        assert running.stop() == 0


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/[pPm]*.*")), ids=lambda file: file.parent.name)
def test_no_example_knows_of_tokens(file: Path) -> None:
    code = file.read_text().lower()
    assert not [word for word in ("authorization", "bearer", "secret_key", "accesstoken") if word in code]


def test_the_event_sender_shows_what_the_plugin_answered(tmp_path: Path) -> None:
    with (
        simulated_biot() as biot,
        sidecar(tmp_path, biot) as url,
        plugin([sys.executable, PYTHON], tmp_path, url) as address,
    ):
        sender = [sys.executable, "-u", str(EXAMPLES / "send_event.py"), address]
        with program(tmp_path, "sender", sender, {}) as running:
            assert running.first_line.startswith("the plugin answered 200: ")


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/", "nonsense", "http://[", "http://no-such-host.invalid/"])
def test_the_event_sender_says_in_one_line_that_there_is_no_plugin(where: str) -> None:
    sent = subprocess.run(
        [sys.executable, str(EXAMPLES / "send_event.py"), where], env=PLAIN, capture_output=True, text=True, timeout=60
    )
    assert (sent.returncode, sent.stdout, len(sent.stderr.splitlines())) == (1, "", 1)
    assert sent.stderr.startswith(f"no plugin answers at {where} (")
