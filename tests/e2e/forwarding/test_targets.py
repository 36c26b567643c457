"""Request targets reach BioT byte for byte, or not at all."""

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.wire import lines, request

pytestmark = LIVE

EXACT = {
    "the official SDK's quoting": "/organization/v1/users/patients?searchRequest=%7B%22limit%22%3A%2010%7D",
    "the Python seed's quoting": "/organization/v1/users/patients?searchRequest=%7B%22a%22%3A+%22a%2Bb+%26+c%2Fd%22%7D",
    "the JS seed's quoting": "/organization/v1/users/patients?searchRequest=%7B%22n%22:%22%27%C3%BC%22%7D+x",
    "raw colons and commas": "/a?p=%22filter%22:%7B%22a%22:1,%22y%22",
    "unreserved marks left raw": "/a?x=!~*()'",
    "raw braces and bars": "/a?searchRequest={%22filter%22:{}}|x%20y",
    "raw carets and quotes": '/a?x=^`"<>',
    "escapes in lower case": "/a/%c3%bc?b=%2f%3a",
    "escapes in mixed case": "/a/%C3%bC?b=%2F%3a",
    "an escaped slash in a segment": "/device/v2/devices/dev%2F1%20x%25%C3%A9",
    "a trailing slash": "/file/v1/files/upload/parts/",
    "two slashes inside": "/file/v1//files",
    "two slashes in front": "//file/v1/files",
    "slashes at the end": "/file/v1/files//",
    "a lone question mark": "/a?",
    "two question marks": "/a??b=?",
    "nothing but a query": "/?x=1",
    "only a slash": "/",
    "dots inside segments": "/a/..b/c../.d/...",
    "dot segments in the query": "/a?x=/../../etc/passwd&y=%2e%2e/",
    "a backslash in the query": "/a?x=a\\b",
    "a broken escape in the query": "/a?x=%zz%",
    "parameters in a segment": "/a;v=1/b;w",
    "an at sign and a colon": "/a@b:c/d",
    "a plus and an ampersand": "/a+b&c=d?e=f&g&&h=",
    "something that looks like a URL": "/a?u=http://evil.example/x",
    "a URL in the path": "/http://evil.example/x",
    "unescaped brackets": "/a?attributes[]=x&attributes[]=y",
}


@pytest.mark.parametrize("target", EXACT.values(), ids=EXACT.keys())
async def test_the_target_arrives_as_it_was_sent(house, target):
    assert_passed_on(await house.get(target), 200)
    assert house.upstream.requests[-1].target == target.encode()


async def test_a_target_of_sixteen_kilobytes_arrives_as_it_was_sent(house):
    target = "/a?in=" + "0f8fad5b-d9cb-469f-a165-70867728950e," * 430
    assert_passed_on(await house.get(target), 200)
    assert house.upstream.requests[-1].target == target.encode()


async def test_bytes_above_0x7f_in_a_target_are_kept_or_refused_but_never_rewritten(house):
    answer = await house.ask(lines(b"GET /caf\xc3\xa9?x=\xff HTTP/1.1", b"Host: 127.0.0.1"))
    if answer.status == 400:
        assert_ours(answer, 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
        assert house.upstream.requests == []
    else:
        assert house.upstream.requests[-1].target == b"/caf\xc3\xa9?x=\xff"


REFUSED = {
    "a parent segment": "/a/../b",
    "a parent segment at the end": "/a/..",
    "a parent segment in front": "/../a",
    "a current segment": "/a/./b",
    "a current segment at the end": "/a/.",
    "an escaped parent segment": "/a/%2e%2e/b",
    "an escaped parent segment in upper case": "/a/%2E%2E/b",
    "a half escaped parent segment": "/a/.%2e/b",
    "the other half escaped": "/a/%2e./b",
    "an escaped current segment": "/a/%2e/b",
    "a parent segment before a query": "/a/..?x=1",
    "a backslash": "/a\\..\\b",
    "a broken escape": "/a/%zz",
    "a broken escape at the end": "/a/%",
    "half an escape at the end": "/a/%2",
    "an escaped NUL": "/a/%00",
    "an escaped line feed": "/a/%0a",
    "an escaped carriage return": "/a/%0D%0Ab",
    "an escaped DEL": "/a/%7f",
}


@pytest.mark.parametrize("target", REFUSED.values(), ids=REFUSED.keys())
async def test_a_path_that_servers_read_differently_is_refused(house, target):
    assert_ours(await house.get(target), 400, "SIDECAR_PATH_REFUSED")
    await house.fence()
    assert [exchange.target for exchange in house.upstream.requests] == [b"/fence"]


@pytest.mark.parametrize("octet", [0x01, 0x08, 0x0B, 0x1F, 0x7F])
async def test_a_raw_control_character_in_the_target_is_refused(house, octet):
    answer = await house.ask(lines(b"GET /a" + bytes([octet]) + b"b HTTP/1.1", b"Host: 127.0.0.1"))
    assert_ours(answer, 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    assert house.upstream.requests == []


@pytest.mark.parametrize("target", ["/a#b", "/a?x#y", "/#", "/a?#"])
async def test_a_fragment_in_the_target_is_refused(house, target):
    assert_ours(await house.get(target), 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    assert house.upstream.requests == []


@pytest.mark.parametrize("target", ["a", "a/b", "?x", "*", "127.0.0.1/a", "..", "@127.0.0.1/"])
async def test_a_target_of_no_known_form_is_refused(house, target):
    answer = await house.get(target)
    assert_ours(answer, 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    assert house.upstream.requests == []


async def test_options_for_the_whole_server_stays_an_asterisk(house):
    assert_passed_on(await house.ask(request("OPTIONS", "*")), 200)
    assert house.upstream.requests[-1].target == b"*"


ABSOLUTE = {
    "http://127.0.0.1/a/b?c=d": b"/a/b?c=d",
    "http://localhost:8787/a//b/": b"/a//b/",
    "HTTP://LOCALHOST/%c3?": b"/%c3?",
    "http://[::1]/a": b"/a",
    "http://127.0.0.1?x=1": b"/?x=1",
    "http://127.0.0.1": b"/",
    "http://lambda.aws.com/a": b"/a",
}


@pytest.mark.parametrize(("target", "arrives"), ABSOLUTE.items(), ids=ABSOLUTE.keys())
async def test_an_absolute_target_that_names_an_allowed_host_is_forwarded_in_origin_form(house, target, arrives):
    assert_passed_on(await house.get(target), 200)
    assert house.upstream.requests[-1].target == arrives
    assert house.upstream.requests[-1].head.values(b"host") == [house.upstream.authority]


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/a",
        "https://evil.example/a",
        "http://127.0.0.1.evil.example/a",
        "http://127.0.0.1@evil.example/a",
        "http://evil.example:8787/a",
        "http://evil.example\\@127.0.0.1/a",
        "http:///a",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
async def test_an_absolute_target_that_names_another_host_is_refused(house, target):
    answer = await house.get(target)
    assert answer.status in (400, 421), answer
    assert_ours(answer, answer.status, "SIDECAR_HOST_REFUSED", "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    assert house.upstream.requests == []


async def test_an_absolute_target_does_not_excuse_a_foreign_host_field(house):
    answer = await house.ask(lines(b"GET http://127.0.0.1/a HTTP/1.1", b"Host: evil.example"))
    assert answer.status in (400, 421), answer
    assert house.upstream.requests == []


async def test_options_for_an_absolute_target_without_a_path_is_for_the_whole_server(house):
    assert_passed_on(await house.ask(request("OPTIONS", "http://127.0.0.1")), 200)
    assert house.upstream.requests[-1].target == b"*"


async def test_a_path_prefix_of_the_base_url_stands_before_the_target(start):
    house = await start(upstream=ScriptedUpstream(prefix=b"/gateway/v9"))
    assert_passed_on(await house.get("/a//b/%2f?c"), 200)
    assert house.upstream.requests[-1].target == b"/gateway/v9/a//b/%2f?c"
    assert house.upstream.logins[-1].target == b"/gateway/v9/ums/v2/services/accessToken"
    assert_passed_on(await house.ask(request("OPTIONS", "*")), 200)
    assert house.upstream.requests[-1].target == b"*"


UNKNOWN_METHODS = ["FROBNICATE", "get", "Get", "M-SEARCH", "QUERY", "PROPFIND", "X!#$%&'*+-.^_`|~9", "A", "M" * 60]


@pytest.mark.parametrize("method", [*UNKNOWN_METHODS, "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "PRI"])
async def test_a_method_arrives_as_it_was_sent(house, method):
    assert_passed_on(await house.ask(request(method, "/m", body=b"x"), method), 200)
    assert house.upstream.requests[-1].method == method.encode()
    assert house.upstream.requests[-1].content == b"x"
