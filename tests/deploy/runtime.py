"""A managed Python runtime in small: hands Lambda's events to a handler, index.handler if none is named."""

import importlib
import json
import os
import sys
from urllib.request import Request, urlopen

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def post(path: str, body: object) -> None:
    urlopen(Request(f"{API}/{path}", json.dumps(body).encode(), method="POST")).close()


def described(error: BaseException) -> dict:
    return {"errorType": type(error).__name__, "errorMessage": str(error)}


sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
try:
    module, _, name = (sys.argv[1:] or ["index.handler"])[0].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
except BaseException as error:
    post("init/error", described(error))
    raise
while True:
    with urlopen(f"{API}/invocation/next") as answer:
        request_id, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
    try:
        post(f"invocation/{request_id}/response", handler(event, None))
    except Exception as error:
        post(f"invocation/{request_id}/error", described(error))
