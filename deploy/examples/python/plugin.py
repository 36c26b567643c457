"""A BioT plugin in Python: keeps a patient's age right. No login, no token, no secret: the sidecar has them."""

import json
import os
import signal
import sys
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SIDECAR = os.environ.get("SIDECAR_URL", "http://127.0.0.1:8787")
HOST, PORT = os.environ.get("PLUGIN_LISTEN", "127.0.0.1:8080").rsplit(":", 1)


def biot(method: str, path: str, trace: str | None, body: dict | None = None) -> dict:
    """One call of the BioT API; `trace` is the event's, if it has one."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if trace:
        headers["traceparent"] = trace
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(SIDECAR + path, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


def perform(event: dict, trace: str | None) -> dict:
    """BioT says that a patient was changed: is the age still right?"""
    path = f"/organization/v1/users/patients/{event['data']['entity']['_id']}"
    patient = biot("GET", path, trace)
    age = years_since(date.fromisoformat(patient["_dateOfBirth"]))
    changed = patient.get("age") != age
    if changed:  # else our own change would call us again, for ever
        biot("PATCH", path, trace, {"age": age})
    return {"patient": patient["_id"], "age": age, "changed": changed}


def years_since(born: date) -> int:
    today = date.today()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


class Plugin(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        try:
            event = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.answer(200, perform(event, self.headers.get("traceparent")))
        except HTTPError as error:  # BioT's error or the sidecar's: both have BioT's shape
            self.answer(error.code, json.load(error))
        except Exception as error:  # no sidecar there, an event of another shape
            self.answer(500, {"code": "PLUGIN_ERROR", "message": f"{type(error).__name__}: {error}"})

    def answer(self, status: int, body: dict) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # as process 1 of a container it would be ignored
    server = ThreadingHTTPServer((HOST, int(PORT)), Plugin)
    print(f"plugin on {HOST}:{server.server_port}, BioT at {SIDECAR}", flush=True)
    server.serve_forever()
