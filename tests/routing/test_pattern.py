"""What `match:` may say."""

from __future__ import annotations

import pytest
from biot_sidecar.routing.pattern import BadPattern, parse_pattern


@pytest.mark.parametrize(
    ("text", "methods", "segments", "rest"),
    [
        ("GET /a/b", {"GET"}, (b"a", b"b"), False),
        ("GET|PUT /a/{id}/**", {"GET", "PUT"}, (b"a", None), True),
        ("* /**", None, (), True),
        ("* /", None, (), False),
        ("GET //a//b/", {"GET"}, (b"a", b"b"), False),
        ("GET /a%20b/%C3%A9/é", {"GET"}, (b"a b", "é".encode(), "é".encode()), False),
        ("M-SEARCH /a", {"M-SEARCH"}, (b"a",), False),
        ("GET    /a", {"GET"}, (b"a",), False),
    ],
)
def test_a_pattern_is_methods_and_segments(text, methods, segments, rest):
    pattern = parse_pattern(text)
    assert pattern.methods == (None if methods is None else frozenset(methods))
    assert pattern.segments == segments
    assert pattern.rest is rest
    assert pattern.text == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is no match"),
        ("GET", "is no match"),
        ("/a/b", "is no match"),
        ("GET a/b", "is no match"),
        ("get /a", "write GET"),
        ("GET|* /a", "* stands alone"),
        ("GET| /a", "is no method"),
        ("G(T /a", "is no method"),
        ("GET /a/**/b", "alone and at the end"),
        ("GET /a/x**", "alone and at the end"),
        ("GET /a/*", "write {x}"),
        ("GET /a/x*", "no wildcards within a segment"),
        ("GET /a/x{id}", "braces hold a whole segment"),
        ("GET /a/{}", "braces hold a whole segment"),
        ("GET /a?b=c", "the query plays no part"),
        ("GET /a/%zz", "broken percent-encoding"),
        ("GET /a/../b", "can never match"),
        ("GET /a/%2e%2e/b", "can never match"),
        ("GET /a\\b", "can never match"),
        ("GET /a/%00", "can never match: a path is refused if it holds a control character"),
        ("GET /a/%5c", "can never match: a path is refused if it holds a backslash"),
        ("GET /a/..;v=1", "can never match"),
        ("GET /a/b%2F..", "can never match"),
        ("GET /a\tb", "can never match"),
        ("GET /a b", "in a path it is %20"),
        ("GET /a, PUT /b", "several matches are a list: [GET /a, PUT /b]"),
        ("GET, PUT /a/{id}", "write GET|PUT /a/{id}"),
        ("GET PUT /a", "write GET|PUT /a"),
        ("GET | PUT /a", "write GET|PUT /a"),
        ("GET ums/v2/users", "write GET /ums/v2/users"),
        ("GET https://api.example/ums/v2/users", "write GET /ums/v2/users"),
        ("/ums/v2/users", "the method is missing; write GET /ums/v2/users, or * for any method"),
        ("/users", "the method is missing; write GET /users, or * for any"),
        ("https://api.example/ums", "the method is missing; write GET /ums, or"),
        ("ums/v2/users", "the method is missing; write GET /ums/v2/users"),
        ("get put /a", "such as GET /ums/v2/users/{id}"),
        ("GET a", "write GET /a"),
        ("GET/ums/v2/users", "write GET /ums/v2/users"),
        ("users", "such as GET /ums/v2/users/{id}"),
        ("GET /" + 1024 * "a", "longer than 1024 characters"),
    ],
)
def test_a_pattern_that_means_nothing_says_what_to_write_instead(text, part):
    with pytest.raises(BadPattern) as caught:
        parse_pattern(text)
    assert part in str(caught.value)
