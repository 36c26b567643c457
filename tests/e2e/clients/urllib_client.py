"""Python's urllib as a plugin would use it: carries out the calls that stdin asks for (see asked.py)."""

import shutil
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

OPENER = build_opener(ProxyHandler({}))


def body_of(text):
    """Bytes have a length; an iterator has none and goes out in chunks."""
    how, _, file = text.partition(":")
    if how == "none":
        return None
    return pieces(file) if how == "streamed" else Path(file).read_bytes()


def pieces(file):
    with open(file, "rb") as opened:
        yield from iter(lambda: opened.read(64 * 1024), b"")


def call(method, url, body, answer_file, *fields):
    headers = dict(field.split(": ", 1) for field in fields)
    request = Request(url, body_of(body), headers, method=method)
    try:
        answer = OPENER.open(request, timeout=30)
    except HTTPError as error:
        answer = error
    with answer, open(answer_file, "wb") as file:
        shutil.copyfileobj(answer, file)
        return [str(answer.status), *(f"{name}: {value}" for name, value in answer.headers.items())]


for line in sys.stdin:
    try:
        said = call(*line.rstrip("\n").split("\t"))
    except OSError as error:
        said = ["0", f"error: {error}"]
    print("\t".join(said), flush=True)
