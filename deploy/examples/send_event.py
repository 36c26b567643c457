"""Tells a plugin what BioT would tell it, that a patient was changed: send_event.py [http://127.0.0.1:8080/]"""

import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/"
HEADERS = {
    "content-type": "application/json",
    "hooktype": "NOTIFICATION",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}

event = Path(__file__).with_name("event.json").read_bytes()
try:
    with urlopen(Request(URL, event, HEADERS, method="POST"), timeout=60) as answer:
        print(f"the plugin answered {answer.status}: {answer.read().decode()}")
except HTTPError as error:
    sys.exit(f"the plugin answered {error.code}: {error.read().decode()}")
except (OSError, HTTPException, ValueError) as error:  # nobody there, no HTTP, no URL
    reason = getattr(error, "reason", None) or error
    sys.exit(f"no plugin answers at {URL} ({reason}); start one first: python3 deploy/examples/python/plugin.py")
