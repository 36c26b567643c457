"""What happened in one exchange: server and proxy fill it as they go, telemetry reads it once, at its end."""

from __future__ import annotations

from biot_sidecar.errors import Code
from biot_sidecar.http.messages import Headers
from biot_sidecar.http.request_trace import RequestTrace
from biot_sidecar.routing.route import Verdict


class Exchange:
    """The one mutable thing of a request's life.

    Times are monotonic seconds (`started`, `finished`, ...) but for `at`, the wall clock; sizes are body bytes as
    they crossed the client's connection. Strings that label metrics come from closed sets (section 8 of the contract).
    """

    __slots__ = (
        "at",
        "client_gone",
        "code",
        "connect",
        "cut",
        "finished",
        "first_byte",
        "interception",
        "keep_alive",
        "local",
        "method",
        "number",
        "paused",
        "query",
        "reason",
        "refused",
        "request_bytes",
        "request_headers",
        "response_bytes",
        "response_headers",
        "retries",
        "reused",
        "started",
        "status",
        "token_age",
        "token_result",
        "token_wait",
        "trace",
        "trace_id",
        "tries",
        "upstream_seconds",
        "upstream_status",
        "verdict",
    )

    def __init__(self, number: int, at: float, started: float) -> None:
        self.number = number
        self.at = at
        self.started = started
        self.finished = started
        self.method = b""
        self.query = b""  # raw; only its keys may ever be shown
        self.verdict: Verdict | None = None  # None: refused before the routes were asked
        self.status = 0  # what the client got; 0: it was gone before any answer
        self.upstream_status = 0  # 0: BioT gave none
        self.code: Code | None = None  # our own error, if the answer was one
        self.refused = ""  # reason of refused_total, if it was one
        self.reason = ""  # the same as the log tells it, which may know more
        self.interception = "none"  # set removed passed none
        self.tries = 0  # requests sent to BioT
        self.retries: tuple[str, ...] = ()  # connect reset status token_not_valid
        self.token_result = ""  # hit stale wait fail; empty: no token was needed
        self.token_wait = 0.0
        self.token_age = -1.0  # seconds; negative: no token of ours was sent
        self.connect = 0.0  # seconds spent dialling
        self.first_byte = 0.0  # seconds from sending to the answer's head, last try
        self.paused = 0.0  # seconds between two tries
        self.upstream_seconds = 0.0  # seconds with BioT, all tries
        self.reused = False  # the last try used a pooled connection
        self.request_bytes = 0
        self.response_bytes = 0
        self.request_headers: Headers = []
        self.response_headers: Headers = []
        self.client_gone = False
        self.cut = False  # the answer broke off after its head
        self.trace_id = ""
        self.trace: RequestTrace | None = None  # None: nobody asked for traces
        self.keep_alive = False  # the client will send more on its connection
        self.local = False  # one of the sidecar's own pages; nothing to observe
