"""What a function URL makes of requests and replies, as AWS documents payload version 2.0."""

from __future__ import annotations

import base64
import json

import pytest
from biot_sidecar.simulator.aws_lambda.function_url import (
    BadReply,
    FrontRequest,
    Invocation,
    event_of,
    response_of,
)

NOW = 1_764_000_000.25
INVOCATION = Invocation("request-1", NOW, "Root=1-abc", "eu-west-1")


def event(*fields: tuple[str, str], method: str = "POST", path: str = "/", query: str = "", body: bytes = b"") -> dict:
    return event_of(FrontRequest(method, path, query, fields, body, "192.0.2.7"), INVOCATION)


def reply(value: object) -> bytes:
    return json.dumps(value).encode()


def test_the_path_and_the_query_are_there_raw_and_the_query_decoded_too():
    made = event(path="/a%20b/%C3%A4", query="x=1&x=2&y=%C3%A4+b&z=")
    assert (made["version"], made["rawPath"], made["rawQueryString"]) == (
        "2.0",
        "/a%20b/%C3%A4",
        "x=1&x=2&y=%C3%A4+b&z=",
    )
    assert made["queryStringParameters"] == {"x": "1,2", "y": "ä b", "z": ""}
    assert "queryStringParameters" not in event()


def test_header_names_are_lower_case_and_repeated_ones_joined_by_commas():
    made = event(("Hooktype", "NOTIFICATION"), ("X-A", "1"), ("x-a", "2"))
    assert (made["headers"]["hooktype"], made["headers"]["x-a"]) == ("NOTIFICATION", "1,2")


def test_what_is_about_the_connection_is_none_of_the_functions_business():
    made = event(("Connection", "close"), ("Transfer-Encoding", "chunked"), body=b"abc")
    assert not {"connection", "transfer-encoding"} & made["headers"].keys()
    assert made["headers"]["content-length"] == "3"
    assert "content-length" not in event()["headers"]


def test_cookies_stand_apart_from_the_headers():
    made = event(("Cookie", "a=1; b=2"), ("cookie", "c=3"))
    assert made["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in made["headers"]
    assert "cookies" not in event()


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8", "application/problem+json"])
def test_a_text_body_is_there_as_it_is(kind):
    made = event(("Content-Type", kind), body='{"ä": 1}'.encode())
    assert (made["body"], made["isBase64Encoded"]) == ('{"ä": 1}', False)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("content-type", "application/octet-stream")], b"\x00\xff"),
        ([("content-type", "application/x-www-form-urlencoded")], b"a=1"),
        ([("content-type", "application/json"), ("content-encoding", "gzip")], b"\x1f\x8b"),
        ([("content-type", "text/plain")], b"\xff\xfe"),
        ([], b"whatever"),
    ],
)
def test_any_other_body_is_in_base64(fields, body):
    made = event(*fields, body=body)
    assert (base64.b64decode(made["body"]), made["isBase64Encoded"]) == (body, True)


def test_without_a_body_there_is_none():
    made = event()
    assert ("body" in made, made["isBase64Encoded"]) == (False, False)


def test_the_request_context_names_the_caller_the_url_and_the_moment():
    made = event(("User-Agent", "Reactor/1"), method="PUT", path="/x")
    context = made["requestContext"]
    assert context["http"] == {
        "method": "PUT", "path": "/x", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "Reactor/1"
    }  # fmt: skip
    assert (context["requestId"], context["time"], context["timeEpoch"]) == (
        "request-1", "24/Nov/2025:16:00:00 +0000", 1_764_000_000_250
    )  # fmt: skip
    assert context["domainName"].endswith(".lambda-url.eu-west-1.on.aws")
    assert (context["stage"], made["routeKey"], context["accountId"]) == ("$default", "$default", "anonymous")
    assert made["headers"]["x-forwarded-for"] == "192.0.2.7"
    assert made["headers"]["host"] == context["domainName"]


def test_a_reply_says_status_headers_cookies_and_body():
    made = response_of(
        reply({"statusCode": 201, "headers": {"X-A": "b", "x-n": 5}, "cookies": ["a=1", "b=2; Path=/"], "body": "ä"})
    )
    assert (made.status, made.body) == (201, "ä".encode())
    assert made.fields == (
        ("Content-Type", "application/json"),
        ("X-A", "b"),
        ("x-n", "5"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2; Path=/"),
    )


def test_a_binary_reply_comes_out_of_its_base64():
    made = response_of(
        reply({"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True})
    )
    assert made.body == b"\x00\xff"


@pytest.mark.parametrize(
    ("given", "body"),
    [({"code": "JWT_ERROR", "message": "ä"}, '{"code":"JWT_ERROR","message":"ä"}'), ([1, "a"], '[1,"a"]'), (0, "0")],
)
def test_a_body_that_is_no_text_goes_out_as_json(given, body):
    made = response_of(reply({"statusCode": 400, "body": given}))
    assert (made.status, made.body, made.fields) == (400, body.encode(), (("Content-Type", "application/json"),))


@pytest.mark.parametrize(
    ("value", "body"),
    [({"a": 1}, b'{"a": 1}'), ("text", b"text"), (None, b"null"), ([1], b"[1]"), ({"body": "x"}, b'{"body": "x"}')],
)
def test_a_reply_without_a_status_is_a_200_with_that_json(value, body):
    made = response_of(reply(value))
    assert (made.status, made.body) == (200, body)
    assert made.fields == (("Content-Type", "application/json"),)


@pytest.mark.parametrize(
    "bad",
    [
        b"no json",
        b"",
        reply({"statusCode": "abc"}),
        reply({"statusCode": 99}),
        reply({"statusCode": 101}),
        reply({"statusCode": True}),
        reply({"statusCode": 200, "headers": ["a"]}),
        reply({"statusCode": 200, "headers": {"a b": "c"}}),
        reply({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}),
        reply({"statusCode": 200, "headers": {"a": {}}}),
        reply({"statusCode": 200, "cookies": "a=1"}),
        reply({"statusCode": 200, "cookies": ["a=1\r\nx: y"]}),
        reply({"statusCode": 200, "body": "*", "isBase64Encoded": True}),
    ],
)
def test_what_is_no_reply_is_told_so(bad):
    with pytest.raises(BadReply):
        response_of(bad)


def test_what_frames_the_message_is_not_the_functions_to_say():
    made = response_of(reply({"statusCode": 200, "headers": {"Transfer-Encoding": "chunked", "Content-Length": "7"}}))
    assert [name for name, _ in made.fields] == ["Content-Type"]
