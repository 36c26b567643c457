"""The example Lambda handlers, each started by its one command: simulator, sidecar, handler, events, calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.cli.processes import Running, running
from tests.deploy.programs import DEPLOY, ROOT, call
from tests.support import wants
from tests.support.ports import free_port

EXAMPLES = DEPLOY / "examples" / "lambda"
RUNTIMES = ROOT / "tests" / "deploy"
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
LANGUAGES = ["python", "javascript"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Start = Callable[[str, str, str], AbstractContextManager[Running]]


@pytest.fixture(params=["plain", "aws"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts the example of a language, with a runtime client in small or with AWS's own."""

    def command(language: str) -> list[str]:
        if request.param == "aws" and language == "python":
            wants.module("awslambdaric")
            return [sys.executable, "-m", "awslambdaric"]
        if request.param == "aws":
            return [wants.program("aws-lambda-ric")]
        interpreter = {"python": sys.executable, "javascript": "node"}[language]
        return [
            wants.program(interpreter),
            str(RUNTIMES / {"python": "runtime.py", "javascript": "runtime.mjs"}[language]),
        ]

    def begin(language: str, example: str, event: str) -> AbstractContextManager[Running]:
        words = [
            "demo",
            "--lambda",
            "--simulator-listen",
            "127.0.0.1:0",
            "--subscribe",
            event,
            "--",
            *command(language),
        ]
        where = {"SIDECAR_LISTEN": "127.0.0.1:0", "PLUGIN_URL": f"http://127.0.0.1:{free_port()}"}
        folder = EXAMPLES / language
        home = {"HOME": str(tmp_path), "PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        return running(tmp_path, *words, f"{example}.handler", folder_of_work=folder, **where, **home)

    return begin


def urls(one: Running) -> tuple[str, str]:
    """The simulator's and the sidecar's, once all is ready."""
    one.until("Ctrl-C ends all.")
    curl = next(line.split() for line in one.said if line.strip().startswith("curl "))
    return one.said[0].split()[3], curl[4].removesuffix(PATIENT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_interceptor_tidies_an_update_and_refuses_what_cannot_be(start: Start, language: str) -> None:
    with start(language, "interceptor", "pre PATCH /organization/v1/users/patients/{id}") as one:
        simulator, sidecar = urls(one)
        changed = call(
            "PATCH", sidecar + PATIENT, {"age": 44, "_name": {"firstName": "  Ann  Marie ", "lastName": "Ray"}}
        )
        assert (changed["age"], changed["_name"]["firstName"]) == (44, "Ann Marie")
        with pytest.raises(HTTPError) as refused:
            call("PATCH", sidecar + PATIENT, {"age": 1000})
        with refused.value as answer:
            assert (answer.code, json.load(answer)["code"]) == (400, "AGE_NOT_POSSIBLE")
        events = call("GET", simulator + "/_simulator/events")["events"]
        assert [event["status"] for event in events] == [200, 400]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notification_plugin_keeps_the_age_right(start: Start, language: str) -> None:
    with start(language, "notification", "patient._update") as one:
        simulator, sidecar = urls(one)
        told = call("POST", simulator + "/_simulator/events/make", {"event": "patient._update", "set": {"age": 7}})
        url = next(
            word for line in one.said if "is told of" in line for word in line.split() if word.startswith("http")
        )
        reply = call("POST", url, told["body"], **told["headers"])
        patient = call("GET", f"{sidecar}/organization/v1/users/patients/{told['body']['data']['entity']['_id']}")
        assert reply == {"age": patient["age"], "changed": True, "before": reply["before"]}
        assert patient["age"] != 7


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.*")), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_no_example_knows_of_tokens(file: Path) -> None:
    code = file.read_text().lower()
    assert not [word for word in ("authorization", "bearer", "secret_key", "accesstoken") if word in code]


def test_the_readme_names_the_command_of_each_example() -> None:
    told = (DEPLOY / "README.md").read_text()
    for client in ("python -m awslambdaric", "npx aws-lambda-ric"):
        for example in ("notification", "interceptor"):
            assert f"{client} {example}.handler" in told
