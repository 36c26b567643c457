"""What BioT's five public plugins do on the wire, in few lines each, as plugins of one small server.

They log in by themselves, prove the event's JWT by BioT's public key, search as axios and requests write it, and send
bodies with GET.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import jwt
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.deploy.programs import DEADLINE
from tests.e2e.seeds.plugins import DUMMY

PATIENTS = "/organization/v1/users/patients"
LAST_SESSION = "lastSessionTime"
SESSION_TEMPLATE = "adherenceSession"
ALERT_TEMPLATE = "nonAdherence"
PULSE_TEMPLATE_ID = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
CRITICAL, CLEAR = 120, 90


class Biot:
    """What a seed has of helpers: login, public key, calls with the plugin's own token and the event's trace."""

    def __init__(self, base_url: str, traceparent: str) -> None:
        self._base_url = base_url
        self._traceparent = traceparent
        body = {"id": DUMMY["BIOT_SERVICE_USER_ID"], "secretKey": DUMMY["BIOT_SERVICE_USER_SECRET_KEY"]}
        self._token = self.call("POST", "/ums/v2/services/accessToken", body)["accessToken"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {
            "user-agent": "PythonPlugin/1.5.6",
            "accept": "application/json",
            "content-type": "application/json; charset=utf-8",
            "traceparent": self._traceparent,
        }
        if token := getattr(self, "_token", ""):
            headers["authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._base_url + path, data, headers, method=method), timeout=DEADLINE) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def proves(self, token: str, scope: str) -> None:
        """Raises if BioT has not signed it for this."""
        der = base64.b64decode(self.call("GET", "/ums/v1/security/public-key")["publicKey"])
        claims = jwt.decode(token, load_der_public_key(der), algorithms=["RS512"])
        assert scope in claims["scopes"]


def searched(path: str, request: Any) -> str:
    """As the Python plugins write a search."""
    return f"{path}?searchRequest={quote(json.dumps(request))}"


Reply = tuple[int, Any]
Handler = Callable[[Mapping[str, str], Any, Biot], Reply]


def python_seed(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """A notification: asks for patients, by a GET with a body of two bytes."""
    biot.proves(event["jwt"], "ACTION_NOTIFICATION")
    assert event["metadata"]
    assert event["data"]
    biot.call("GET", PATIENTS, {})
    return 200, {"traceparent": headers["traceparent"]}


def javascript_seed(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """All three interceptors: they change a first name on its way in or out, and reply with the whole event."""
    biot.proves(headers["authorization"].split(" ")[1], "PLUGIN_INTERCEPTOR")
    biot.call(
        "GET", f"{PATIENTS}?{urlencode({'searchRequest': json.dumps({'filter': {'_gender': {'eq': 'FEMALE'}}})})}"
    )
    match headers["hooktype"]:
        case "INTERCEPTOR_PRE":
            names = [event["request"]["body"].get("_name")]
        case "INTERCEPTOR_POST_ENTITY":
            names = [event["response"]["entities"][0]["_name"]]
        case _:
            names = [event["response"]["body"]["_name"]]
    for name in filter(None, names):
        name["firstName"] += f" {headers['hooktype'].removeprefix('INTERCEPTOR_')}"
    return 200, event


def alerts_sample(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """A measurement that is too high becomes an alert of the patient's, one that is low again clears it."""
    biot.proves(event["jwt"], "ACTION_NOTIFICATION")
    entity = event["data"]["entity"]
    pulse, patient = entity["data"]["pulse"], entity["metadata"]["patientId"]
    wanted = (
        {"_state": "CLEARED"}
        if pulse < CLEAR
        else {"_severity": "CRITICAL", "_state": "ACTIVE"}
        if pulse > CRITICAL
        else None
    )
    if wanted is None:
        return 200, {}
    request = {
        "filter": {
            "_patient.id": {"in": [patient]},
            "_templateId": {"in": [PULSE_TEMPLATE_ID]},
            "_state": {"not": "CLEARED"},
        }
    }
    found = biot.call("GET", f"{PATIENTS}/alerts?{urlencode({'searchRequest': json.dumps(request)})}")["data"]
    if found:
        biot.call("PATCH", f"{PATIENTS}/{patient}/alerts/{found[0]['_id']}", wanted)
    elif wanted["_state"] != "CLEARED":
        biot.call("POST", f"{PATIENTS}/{patient}/alerts", wanted | {"_templateId": PULSE_TEMPLATE_ID})
    return 200, {}


def last_session_tracker(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """The end of a session of one template is kept with its patient."""
    biot.proves(event["jwt"], "ACTION_NOTIFICATION")
    session = event["data"]["entity"]
    if session["_template"]["name"] == SESSION_TEMPLATE and session["_state"] == "DONE":
        biot.call("PATCH", f"{PATIENTS}/{session['_patient']['id']}", {LAST_SESSION: session["_endTime"]})
    return 200, {}


def adherence_alert(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """By the clock: an alert for each patient without a session since `since`, or ever."""
    since = event["since"]
    alerts = []
    for organization in biot.call(
        "GET", searched("/organization/v1/organizations", {"filter": {}, "limit": 100000000}), {}
    )["data"]:
        owner = {"_ownerOrganization.id": {"eq": organization["_id"]}}
        for more in ({LAST_SESSION: {"to": since}}, {LAST_SESSION: {"isNull": True}, "_creationTime": {"to": since}}):
            request = {"filter": owner | more, "limit": 50, "page": 0}
            found = biot.call("GET", searched(PATIENTS, request), {})["data"]
            paths = [f"{PATIENTS}/{patient['_id']}/alerts/{ALERT_TEMPLATE}" for patient in found]
            alerts += [biot.call("POST", path, {})["_id"] for path in paths]
    return 200, {"alerts": alerts}


def update_credential_type_otp(headers: Mapping[str, str], event: Any, biot: Biot) -> Reply:
    """Whoever is created logs in by one-time passwords. Replies with the request alone."""
    biot.proves(headers["authorization"].split(" ")[1], "PLUGIN_INTERCEPTOR")
    request = event["request"]
    request["body"]["_credentialType"] = "OTP"
    return 200, {"request": {name: request[name] for name in ("path", "queryParameters", "headers", "body")}}


PLUGINS: Mapping[str, Handler] = {
    one.__name__: one
    for one in (
        *(python_seed, javascript_seed, alerts_sample),
        *(last_session_tracker, adherence_alert, update_credential_type_otp),
    )
}


@contextmanager
def running_plugins(base_url: str) -> Iterator[str]:
    """All of them, each at its name below this URL; they call BioT at `base_url`."""

    class Plugin(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            event = json.loads(self.rfile.read(int(headers["content-length"])))
            try:
                status, reply = PLUGINS[self.path.strip("/")](headers, event, Biot(base_url, headers["traceparent"]))
            except Exception as error:
                status, reply = 500, {"code": "PLUGIN_ERROR", "message": repr(error)}
            body = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Plugin)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE)
