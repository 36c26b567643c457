"""A BioT interceptor in Python: puts the age into a patient's update. No login, no token, no secret."""

import json
import os
from datetime import date
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def handler(event: dict, context: object) -> dict:
    """BioT asks before it updates a patient; the answer is the request as it shall be."""
    hook = json.loads(event["body"])
    try:
        return reply(200, {"request": intercept(hook, event.get("headers", {}).get("traceparent"))})
    except HTTPError as error:  # BioT's error or the sidecar's: both have BioT's shape
        return reply(error.code, json.load(error))


def intercept(hook: dict, trace: str | None) -> dict:
    patient_id = next(one["value"] for one in hook["request"]["pathVariables"] if one["name"] == "id")
    patient = biot(f"/organization/v1/users/patients/{patient_id}", trace)
    request = hook["request"]
    return {**request, "body": {**request["body"], "age": years_since(date.fromisoformat(patient["_dateOfBirth"]))}}


def biot(path: str, trace: str | None) -> dict:
    """Our own call: none of the intercepted request's headers, which hold the user's token."""
    headers = {"accept": "application/json"} | ({"traceparent": trace} if trace else {})
    with urlopen(Request(os.environ["BIOT_BASE_URL"] + path, headers=headers), timeout=60) as answer:
        return json.load(answer)


def years_since(born: date) -> int:
    today = date.today()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def reply(status: int, body: dict) -> dict:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
