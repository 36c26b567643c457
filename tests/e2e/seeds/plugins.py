"""The seed plugins as processes that are handed events, and the events."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from biot_sidecar.simulator import seed

from tests.deploy.programs import PLAIN, SECRET, USER, call
from tests.support import wants

HERE = Path(__file__).parent
LANGUAGES = {"python": [sys.executable, "seed_plugin.py"], "javascript": ["node", "seed_plugin.mjs"]}
LOGIN = "/ums/v2/services/accessToken"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DUMMY = {
    "BIOT_SERVICE_USER_ID": "5d2bb8a4-0000-4000-8000-000000000000",
    "BIOT_SERVICE_USER_SECRET_KEY": "dummy-secret-77e1",
}
REAL = {"BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET}
PATIENCE = 60.0


class Plugin:
    """A running plugin."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """What it answers."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(event) + "\n")
        stdin.flush()
        assert select.select([stdout], [], [], PATIENCE)[0], "the plugin does not answer"
        return dict(json.loads(stdout.readline()))


@contextmanager
def plugin(language: str, base_url: str, **env: str) -> Iterator[Plugin]:
    """A seed plugin as one runs it outside of Lambda; the test is skipped where its language is not installed."""
    program, source = LANGUAGES[language]
    found = wants.program(program)
    given = {**PLAIN, "BIOT_BASE_URL": base_url, "AWS_REGION": "x", "AWS_EXECUTION_ENV": "x", **env}
    with subprocess.Popen(
        [found, str(HERE / source)], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Plugin(process)
        finally:
            process.kill()


def event(token: str = "", patient: str = seed.PATIENT_ID) -> dict[str, Any]:
    """BioT's notification of a changed patient; `token` is BioT's own, for the plugin to judge."""
    metadata = {"entityTypeName": "patient", "actionName": "_update", "status": "success"}
    body = {"metadata": metadata, "data": {"entity": {"_id": patient}}, "jwt": token}
    headers = {"hooktype": "NOTIFICATION", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    return {"headers": headers, "body": json.dumps(body)}


def signed_event(biot: str) -> dict[str, Any]:
    """The same, with a token that the simulated BioT has signed."""
    credentials = {"id": USER, "secretKey": SECRET}
    return event(call("POST", biot + LOGIN, credentials)["accessToken"])
