"""A BioT pre-request interceptor as a Lambda handler: tidies a patient's update, and refuses an age that cannot be."""

import json


def handler(event: dict, context: object) -> dict:
    """BioT asks before it updates a patient; the reply is the request as it shall be, or what the caller gets."""
    request = json.loads(event["body"])["request"]
    age = request["body"].get("age")
    if isinstance(age, int) and not 0 <= age <= 130:
        return reply(
            400, {"code": "AGE_NOT_POSSIBLE", "message": f"Nobody is {age} years old", "details": {"age": age}}
        )
    if name := request["body"].get("_name"):
        request["body"]["_name"] = {part: " ".join(text.split()) for part, text in name.items()}
    return reply(200, {"request": request})


def reply(status: int, body: dict) -> dict:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
