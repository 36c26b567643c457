"""What the log tells of requests and events, and what nobody can make it tell."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.errors import Code
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.routing.route import Route, Verdict
from biot_sidecar.telemetry.access_log import BATCH, Log
from biot_sidecar.telemetry.batching_observer import BatchingObserver
from biot_sidecar.telemetry.snapshot import REFUSALS
from hypothesis import given
from hypothesis import strategies as st

from tests.support.finished import TRACE, exchange, refused, verdict


class Written:
    """A writer that keeps everything, and says that it dropped what it is told to."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.dropped = 0

    def __call__(self, lines: bytes) -> int:
        self.batches.append(lines)
        dropped, self.dropped = self.dropped, 0
        return dropped

    @property
    def lines(self) -> list[str]:
        return b"".join(self.batches).decode().splitlines()


def new_log(form: str = "json", level: str = "info") -> tuple[Log, Written]:
    written = Written()
    return Log(level=level, form=form, write=written, wall=lambda: 1_700_000_000.25), written


def told(told_exchange, **kind) -> dict:
    log, written = new_log(**kind)
    log.finished(told_exchange)
    (line,) = written.lines
    return json.loads(line)


# ---- requests


def test_a_request_is_one_line_with_everything_an_operator_asks_for():
    line = told(
        exchange(
            0.0125,
            method=b"PATCH",
            query=b"page=2&limit=10",
            interception="set",
            tries=2,
            retries=("status",),
            request_bytes=120,
            response_bytes=4096,
            token_wait=0.002,
            connect=0.001,
            first_byte=0.0075,
            reused=True,
        )
    )
    assert line == {
        "ts": "2023-11-14T22:13:20.012Z",
        "level": "info",
        "event": "request",
        "id": 7,
        "trace_id": TRACE,
        "method": "PATCH",
        "path": "/organization/v1/users/patients/{id}",
        "query": ["page", "limit"],
        "rule": "a rule",
        "interception": "set",
        "status": 200,
        "upstream_status": 200,
        "error": None,
        "reason": None,
        "tries": 2,
        "retries": ["status"],
        "request_bytes": 120,
        "response_bytes": 4096,
        "duration_ms": pytest.approx(12.5, abs=0.001),
        "upstream_ms": pytest.approx(9.375, abs=0.001),
        "token_wait_ms": 2.0,
        "connect_ms": 1.0,
        "first_byte_ms": 7.5,
        "token_age": 3.5,
        "connection_reused": True,
        "client_gone": False,
        "cut": False,
    }


def test_what_there_was_not_is_null():
    line = told(refused("host", code=Code.HOST_REFUSED, trace_id=""))
    assert (line["rule"], line["upstream_status"], line["token_age"]) == (None, None, None)
    assert (line["path"], line["trace_id"], line["error"]) == ("", "", "SIDECAR_HOST_REFUSED")


def test_a_token_that_the_request_waited_for_has_no_age():
    assert told(exchange(token_age=-0.4, token_result="wait"))["token_age"] == 0
    assert told(exchange(token_age=-1.0, token_result="fail"))["token_age"] is None


@given(st.floats(0, 1e6))
def test_times_have_three_decimals_rounded(seconds):
    line = told(exchange(seconds, connect=seconds, first_byte=seconds, token_wait=seconds, token_age=seconds))
    for name in ("connect_ms", "first_byte_ms", "token_wait_ms", "duration_ms"):
        assert line[name] == pytest.approx(seconds * 1000, abs=0.000501)
    assert line["token_age"] == pytest.approx(seconds, abs=0.000501)


def test_a_client_that_went_before_any_answer_shows_as_499():
    line = told(exchange(status=0))
    assert (line["status"], line["client_gone"]) == (499, True)


@pytest.mark.parametrize(
    ("what", "level"),
    [
        ({}, "info"),
        ({"status": 500, "upstream_status": 500}, "info"),
        ({"status": 403, "code": Code.ROUTE_DENIED}, "info"),
        ({"status": 502, "code": Code.UPSTREAM_UNREACHABLE}, "warning"),
        ({"status": 504, "code": Code.LOGIN_TIMEOUT}, "warning"),
        ({"cut": True}, "warning"),
    ],
)
def test_our_own_5xx_and_cut_answers_are_warnings(what, level):
    assert told(exchange(**what))["level"] == level


def test_the_level_decides_what_is_told():
    log, written = new_log(level="warning")
    log.finished(exchange())
    log.event("info", "ready", "listening")
    assert written.lines == []
    log.finished(exchange(cut=True))
    log.event("error", "bug", "KeyError at story.py:7")
    assert [json.loads(line)["level"] for line in written.lines] == ["warning", "error"]


def test_seconds_of_one_minute_are_not_mixed_up():
    log, written = new_log()
    for at in (1_700_000_000.999, 1_700_000_001.0, 1_700_000_000.5):
        log.finished(exchange(0.0, at=at))
    stamps = [json.loads(line)["ts"][-7:] for line in written.lines]
    assert stamps == ["20.999Z", "21.000Z", "20.500Z"]


def passed(value: bytes, rule: str = "a rule") -> Exchange:
    return exchange(interception="passed", verdict=verdict(rule), request_headers=[(b"Allow-Interception", value)])


@pytest.mark.parametrize("value", [b"false", b" 0 ", b"No", b"OFF"])
def test_a_plugin_that_says_yes_and_means_no_is_told_once_a_route(value):
    log, written = new_log()
    for rule in ("one", "one", "two"):
        log.finished(passed(value, rule))
    lines = [json.loads(line) for line in written.lines]
    assert [(line["level"], line["event"], line["rule"]) for line in lines] == [
        ("warning", "interception", "one"),
        ("info", "request", "one"),
        ("info", "request", "one"),
        ("warning", "interception", "two"),
        ("info", "request", "two"),
    ]


@pytest.mark.parametrize("value", [b"1", b"true", b"falsehood"])
def test_a_plugin_that_says_yes_and_means_it_is_told_nothing(value):
    log, written = new_log()
    log.finished(passed(value))
    assert len(written.lines) == 1


# ---- events


def test_an_event_says_its_kind_to_machines_and_its_message_to_people():
    log, written = new_log()
    log.event("warning", "routes", "the file was not taken", problems=2)
    assert json.loads(written.lines[0]) == {
        "ts": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "event": "routes",
        "message": "the file was not taken",
        "problems": 2,
    }


def test_logins_are_told_with_outcome_reason_and_duration():
    log, written = new_log()
    log.login_finished("success", "start", 0.25)
    log.login_finished("locked", "expiring", 0.1)
    log.blocked_until(1_700_000_060.0)
    log.blocked_until(0.0)
    good, bad, blocked = map(json.loads, written.lines)
    assert (good["level"], good["outcome"], good["reason"], good["duration_ms"]) == ("info", "success", "start", 250.0)
    assert (bad["level"], bad["outcome"]) == ("warning", "locked")
    assert (blocked["level"], blocked["until"]) == ("error", "2023-11-14T22:14:20.000Z")


def test_a_new_token_is_told_for_debugging_only():
    for level, count in (("info", 0), ("debug", 1)):
        log, written = new_log(level=level)
        log.token_obtained(1_700_000_900.0)
        assert len(written.lines) == count


# ---- text


def test_text_says_what_there_is_to_say_and_leaves_out_the_rest():
    log, written = new_log(form="text")
    log.finished(exchange(0.5, interception="set", query=b"page=1&%0a=2"))
    assert written.lines == [
        "2023-11-14T22:13:20.500Z INFO request GET /organization/v1/users/patients/{id} 200 500.0ms "
        f'query="page,?" rule="a rule" interception=set upstream_ms=375.0 trace_id={TRACE}'
    ]


def test_text_tells_what_is_out_of_the_ordinary():
    log, written = new_log(form="text")
    log.finished(
        refused(
            "framing", reason="tls_hello", code=Code.BAD_REQUEST, status=400, method=b"", trace_id="", client_gone=True
        )
    )
    log.finished(exchange(0.5, retries=("reset", "status"), upstream_status=503, cut=True, connect=0.00123))
    assert written.lines == [
        "2023-11-14T22:13:20.012Z INFO request _OTHER - 400 12.0ms error=SIDECAR_BAD_REQUEST reason=tls_hello "
        "client_gone=yes",
        "2023-11-14T22:13:20.500Z WARNING request GET /organization/v1/users/patients/{id} 200 500.0ms "
        'rule="a rule" upstream_status=503 retries="reset,status" upstream_ms=375.0 connect_ms=1.2 cut=yes '
        f"trace_id={TRACE}",
    ]


@pytest.mark.parametrize("reason", [*REFUSALS, "tls_hello"])
def test_a_refusal_says_its_reason(reason):
    assert told(refused("framing" if reason == "tls_hello" else reason, reason=reason))["reason"] == reason


def test_an_event_comes_after_the_requests_that_ended_before_it():
    log, written = new_log()
    batch = BatchingObserver([log], later=lambda flush: None, report=lambda error: None)
    log.before_event = batch.flush
    batch.finished(exchange(0.0))
    log.event("info", "draining", "stopping")
    batch.finished(exchange(0.0))
    batch.flush()
    assert [json.loads(line)["event"] for line in written.lines] == ["request", "draining", "request"]


def test_text_puts_the_message_before_the_fields():
    log, written = new_log(form="text")
    log.event("error", "routes", 'unknown key "mtach"', line=3, hint="did you mean match?")
    assert written.lines == [
        '2023-11-14T22:13:20.250Z ERROR routes unknown key "mtach" line=3 hint="did you mean match?"'
    ]


# ---- nobody writes lines of their own

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=60)


@pytest.mark.parametrize("form", ["json", "text"])
@given(method=st.binary(max_size=30), query=st.binary(max_size=200), rule=ANY_TEXT, template=ANY_TEXT)
def test_whatever_a_request_holds_it_is_one_printable_line(form, method, query, rule, template):
    log, written = new_log(form=form)
    log.finished(exchange(method=method, query=query, verdict=verdict(rule, template)))
    raw = b"".join(written.batches)
    assert raw.count(b"\n") == 1
    assert raw.endswith(b"\n")
    assert raw.decode()[:-1].isprintable()
    if form == "json":
        assert isinstance(json.loads(raw), dict)
    else:
        assert raw.isascii()


@pytest.mark.parametrize("form", ["json", "text"])
@given(message=ANY_TEXT, field=ANY_TEXT)
def test_whatever_an_event_says_it_is_one_printable_line(form, message, field):
    log, written = new_log(form=form)
    log.event("info", "routes", message, field=field)
    raw = b"".join(written.batches)
    assert raw.count(b"\n") == 1
    assert raw.decode()[:-1].isprintable()


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_value_of_a_query_no_header_and_no_unknown_method_is_told(form):
    log, written = new_log(form=form)
    log.finished(
        exchange(
            method=b"CANARY",
            query=b"name=CANARY&CANARY+x=&q[]=CANARY&searchRequest=%7B%22CANARY%22%7D&CANARY",
            request_headers=[(b"Authorization", b"Bearer CANARY"), (b"X-CANARY", b"1")],
            response_headers=[(b"Set-Cookie", b"CANARY")],
        )
    )
    assert "CANARY" not in written.lines[0]
    assert "searchRequest" in written.lines[0]


# ---- batches


def test_without_a_timer_every_line_is_written_at_once():
    log, written = new_log()
    log.finished(exchange())
    log.finished(exchange())
    assert len(written.batches) == 2


def test_with_a_timer_lines_are_collected_until_it_fires():
    log, written = new_log()
    timers = []
    log.later = timers.append
    for _ in range(3):
        log.finished(exchange())
    assert (written.batches, len(timers)) == ([], 1)
    timers.pop()()
    assert [batch.count(b"\n") for batch in written.batches] == [3]
    log.finished(exchange())
    assert len(timers) == 1


def test_a_full_batch_does_not_wait_for_the_timer():
    log, written = new_log()
    log.later = lambda flush: None
    for _ in range(2 * BATCH // 100):
        log.finished(exchange())
    assert written.batches
    assert all(BATCH <= len(batch) < BATCH + 2048 for batch in written.batches)


def test_an_error_does_not_wait_for_the_timer():
    log, written = new_log()
    log.later = lambda flush: None
    log.finished(exchange())
    log.event("error", "bug", "KeyError at story.py:7; please report it")
    assert len(written.lines) == 2


def test_dropped_lines_are_told_once_the_writer_takes_lines_again():
    log, written = new_log()
    written.dropped = 12
    log.event("info", "ready", "listening")
    ready, dropped = map(json.loads, written.lines)
    assert ready["event"] == "ready"
    assert (dropped["level"], dropped["event"], dropped["lines"]) == ("warning", "log_lines_dropped", 12)


# ---- routes that only observe


def observed_by(name: str, reason: str) -> Verdict:
    plain = verdict()
    return Verdict(
        plain.route, plain.template, plain.operation, observed=Route(name=name, source="f:1", observe=reason)
    )


def test_a_request_that_would_have_been_denied_says_why():
    assert told(exchange(verdict=observed_by("keys", "not for plugins")))["would_deny"] == "not for plugins"
    assert "would_deny" not in told(exchange())


def test_the_text_form_tells_it_too():
    log, written = new_log(form="text")
    log.finished(exchange(verdict=observed_by("keys", "not for plugins")))
    log.finished(exchange())
    first, second = written.lines
    assert 'would_deny="not for plugins"' in first
    assert "would_deny" not in second


def test_a_log_of_errors_alone_tells_of_no_request():
    log, written = new_log(level="error")
    log.finished(exchange(0.1))
    log.finished(exchange(0.1, status=502, code=Code.UPSTREAM_PROTOCOL))
    assert written.lines == []
