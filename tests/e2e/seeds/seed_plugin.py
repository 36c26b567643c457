"""A plugin that calls BioT as BioT's Python seed 1.5.6 does: own login, own headers, a body with every GET.

It takes a notification event per line of stdin and says a line of JSON in return. It knows nothing of a sidecar.
"""

import base64
import json
import os
import sys
import time
from datetime import datetime

import jwt
import requests
from cryptography.hazmat.primitives.serialization import load_der_public_key

BIOT_BASE_URL = os.environ.get("BIOT_BASE_URL")
USER_ID = os.environ.get("BIOT_SERVICE_USER_ID")
SECRET_KEY = os.environ.get("BIOT_SERVICE_USER_SECRET_KEY")
SHOULD_VALIDATE_JWT = os.environ.get("BIOT_SHOULD_VALIDATE_JWT", "true") != "false"
DEFAULT_HEADERS = {
    "User-Agent": "PythonPlugin/1.5.6",
    "Host": "lambda.aws.com",
    "Accept": "application/json",
    "Content-Type": "application/json; charset=utf-8",
}
REFRESH_BUFFER_SECONDS = 60
PATIENTS = "/organization/v1/users/patients"
AWKWARD = "a+b & c/d"

public_key = None
cached_token = None
cached_expiration = 0.0


def authenticate(token):
    """Is the event BioT's own? One key for all events."""
    global public_key
    if public_key is None:
        answer = requests.get(BIOT_BASE_URL + "/ums/v1/security/public-key")
        public_key = load_der_public_key(base64.b64decode(answer.json()["publicKey"]))
    jwt.decode(token, public_key, algorithms=["RS512"])


def login(traceparent):
    """A token of the cache, or a new one. The answer's status is not looked at."""
    global cached_token, cached_expiration
    if cached_token is not None and time.time() < cached_expiration - REFRESH_BUFFER_SECONDS:
        return cached_token
    for name, value in (("ID", USER_ID), ("SECRET_KEY", SECRET_KEY)):
        if value is None:
            raise Exception(f"No BIOT_SERVICE_USER_{name}")
    answer = requests.post(
        BIOT_BASE_URL + "/ums/v2/services/accessToken",
        json={"id": USER_ID, "secretKey": SECRET_KEY},
        headers={"traceparent": traceparent},
    ).json()
    cached_token = answer["accessToken"]
    cached_expiration = datetime.fromisoformat(answer["accessTokenExpiration"].replace("Z", "+00:00")).timestamp()
    return cached_token


def call(method, path, traceparent, token, body=None, query=None):
    """One call with the seed's headers; anything but 2xx is an exception."""
    headers = DEFAULT_HEADERS | {"traceparent": traceparent, "Authorization": "Bearer " + token}
    answer = requests.request(method, BIOT_BASE_URL + path, headers=headers, json=body, params=query)
    if not answer.ok:
        raise Exception("Response returned with non 2XX status code: " + answer.text)
    return {} if answer.status_code == 204 else answer.json()


def perform(entity, traceparent, token):
    """Read, search, change."""
    path = f"{PATIENTS}/{entity['_id']}"
    before = call("GET", path, traceparent, token, body={})
    wanted = {"filter": {"_name.firstName": {"like": AWKWARD}}, "limit": 2}
    call("GET", PATIENTS, traceparent, token, query={"searchRequest": json.dumps(wanted)})
    after = call("PATCH", path, traceparent, token, body={"age": before.get("age", 0) + 1})
    return {"before": before.get("age"), "after": after.get("age")}


def handler(event):
    traceparent = event["headers"]["traceparent"]
    try:
        body = json.loads(event["body"])
        if SHOULD_VALIDATE_JWT:
            authenticate(body["jwt"])
        said = perform(body["data"]["entity"], traceparent, login(traceparent))
        return {"statusCode": 200, "body": said}
    except Exception as error:
        return {"statusCode": 500, "body": {"code": type(error).__name__, "message": str(error)}}


for line in sys.stdin:
    print(json.dumps(handler(json.loads(line))), flush=True)
