"""What is remembered, and for how long."""

import pytest
from biot_sidecar.bounded_cache import KEY_LIMIT, BoundedCache
from biot_sidecar.http import framing
from biot_sidecar.http.framing import request_head, response_head


def test_what_was_kept_is_found_and_nothing_else():
    memo = BoundedCache[bytes, int](2)
    memo.keep(b"one", 1)
    assert memo.get(b"one") == 1
    assert memo.get(b"two") is None


def test_a_full_memo_forgets_everything_and_goes_on():
    memo = BoundedCache[bytes, int](2)
    for number in range(3):
        memo.keep(b"%d" % number, number)
    assert dict(memo) == {b"2": 2}


def test_long_heads_are_not_worth_remembering():
    short = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: short\r\n\r\n"
    assert request_head(short).headers is request_head(short).headers
    long = short.replace(b"short", b"x" * KEY_LIMIT)
    assert request_head(long).headers is not request_head(long).headers
    answer = b"HTTP/1.1 204 -\r\nServer: short\r\n\r\n"
    assert response_head(answer, b"GET") is response_head(answer, b"GET")
    long = answer.replace(b"short", b"x" * KEY_LIMIT)
    assert response_head(long, b"GET") is not response_head(long, b"GET")


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Cookie", "x-api-key", "Proxy-Authorization", "X-Amz-Security-Token", "Set-Cookie", "Location",
     "Referer", "WWW-Authenticate", "whatever-it-is-called"],
)  # fmt: skip
def test_no_head_that_may_hold_a_credential_is_remembered(name):
    framing._requests.clear()
    framing._responses.clear()
    section = f"Host: a\r\nAccept: */*\r\n{name}: canary\r\n\r\n".encode()
    request_head(b"GET / HTTP/1.1\r\n" + section)
    response_head(b"HTTP/1.1 204 -\r\n" + section, b"GET")
    assert not framing._requests
    assert not framing._responses


def test_requests_that_share_their_fields_keep_their_own_first_lines():
    fields = b"Host: a\r\nTE: 1\r\n\r\n"
    one = request_head(b"GET /one HTTP/1.1\r\n" + fields)
    two = request_head(b"PUT /two HTTP/1.1\r\n" + fields)
    assert (one.method, one.target) == (b"GET", b"/one")
    assert (two.method, two.target) == (b"PUT", b"/two")
    assert one.headers == two.headers == [(b"Host", b"a"), (b"TE", b"1")]


def test_the_same_fields_mean_something_else_in_another_version():
    fields = b"Host: a\r\n\r\n"
    assert request_head(b"GET / HTTP/1.1\r\n" + fields).keep_alive
    assert not request_head(b"GET / HTTP/1.0\r\n" + fields).keep_alive


def test_the_same_answer_has_another_body_after_another_method():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    assert [response_head(raw, method).framing.length for method in (b"GET", b"HEAD", b"GET")] == [3, 0, 3]
