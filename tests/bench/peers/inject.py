"""mitmproxy's addon: it adds the Authorization header."""

import os

AUTHORIZATION = f"Bearer {os.environ['BENCH_TOKEN']}"


def requestheaders(flow):
    flow.request.headers["Authorization"] = AUTHORIZATION
