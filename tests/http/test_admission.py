"""Who may call at all."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http.admission import Admission, asks_for_icon, host_allowed
from hypothesis import given
from hypothesis import strategies as st

from tests.http.heads import request

ALLOWED = frozenset({b"localhost", b"::1", b"api.example", b"lambda.aws.com"})
ADMISSION = Admission(ALLOWED, frozenset({b"https://app.example"}))


def refusal(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"localhost") -> ClientError:
    with pytest.raises(ClientError) as caught:
        ADMISSION.admit(request(*fields, line=line, host=host))
    return caught.value


# ---- Host


@pytest.mark.parametrize(
    "value",
    [
        b"localhost",
        b"LocalHost",
        b"localhost:8787",
        b"localhost:",
        b"localhost.",
        b"localhost.:80",
        b"127.0.0.1",
        b"127.0.0.1:1",
        b"127.8.9.10",
        b"[::1]",
        b"[::1]:8787",
        b"[0:0:0:0:0:0:0:1]",
        b"[0000:0000:0000:0000:0000:0000:0000:0001]:8787",
        b"[::ffff:127.0.0.1]",
        b"biot.localhost",
        b"a.b.LOCALHOST.:8787",
        b"127.0.0.2",
        b"127.255.255.254",
        b"api.example",
        b"API.example:443",
        b"lambda.aws.com",
    ],
)
def test_an_allowed_host_passes_whatever_its_port_and_case(value):
    assert ADMISSION.admit(request(host=value)) == b"/"


@pytest.mark.parametrize(
    "value",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"evil.example:localhost",
        b"evil@localhost",
        b"localhost@evil.example",
        b"localhost,evil.example",
        b"localhost evil",
        b"localhost/",
        b"localhost:80:80",
        b"localhost:123456",
        b"localhost:x",
        b"[::1",
        b"::1",
        b"[::2]",
        b"[::ffff:10.0.0.1]",
        b"[127.0.0.1]",
        b"127.0.0.256",
        b"127.0.0",
        b"localhostx",
        b"biot.localhost.evil.example",
        b".localhost.evil",
        b"/run/sidecar.sock",
        b"%2Frun%2Fsidecar.sock",
        b"127.0.0.1.evil.example",
        b"1127.0.0.1",
        b"0x7f.0.0.1",
        b"",
        b"\xff",
    ],
)
def test_any_other_host_is_refused(value):
    assert not host_allowed(value, ALLOWED)
    failure = refusal(host=value)
    assert (failure.code, failure.reason) == (Code.HOST_REFUSED, "host")


def test_a_host_that_passed_does_not_let_another_in():
    admission = Admission(ALLOWED, frozenset())
    admission.admit(request(host=b"localhost"))
    with pytest.raises(ClientError, match="HOST_REFUSED"):
        admission.admit(request(host=b"localhost.evil"))


def test_no_more_than_64_hosts_are_remembered_and_none_that_is_long():
    admission = Admission(None, frozenset())
    admission.admit(request(host=b"h" * 256))
    assert not admission._seen
    for number in range(100):
        admission.admit(request(host=b"h%d.example" % number))
    assert len(admission._seen) == 64


def test_names_below_localhost_are_allowed_as_it_is():
    assert not host_allowed(b"biot.localhost", frozenset({b"api.example"}))
    assert host_allowed(b"127.0.0.1", frozenset({b"api.example"}))
    assert host_allowed(b"[0::1]", frozenset({b"api.example"}))


def test_an_allowed_address_is_allowed_in_any_spelling():
    admission = Admission(frozenset({b"2001:DB8:0:0::1"}), frozenset())
    assert admission.admit(request(host=b"[2001:db8::0:1]:80")) == b"/"


@pytest.mark.parametrize("value", [b"", b"/run/sidecar.sock", b"%2Frun%2fsidecar.sock", b"%2fs:80"])
def test_over_a_unix_socket_host_may_name_none(value):
    admission = Admission(ALLOWED, frozenset())
    assert admission.admit(request(host=value), unix=True) == b"/"
    for host, unix in ((value, False), (b"evil.example", True)):
        with pytest.raises(ClientError, match="HOST_REFUSED"):
            admission.admit(request(host=host), unix=unix)


def test_hints_name_where_the_sidecar_listens():
    admission = Admission(ALLOWED, frozenset())
    admission.here = "http://127.0.0.1:41234"
    for line, host in (
        (b"GET / HTTP/1.1", b"evil"),
        (b"GET http://evil/ HTTP/1.1", b"localhost"),
        (b"CONNECT evil:443 HTTP/1.1", b"evil:443"),
    ):
        with pytest.raises(ClientError) as caught:
            admission.admit(request(line=line, host=host))
        assert admission.here in caught.value.hint


@pytest.mark.parametrize(
    ("line", "fields", "browser"),
    [
        (b"GET /favicon.ico HTTP/1.1", [b"Sec-Fetch-Dest: image"], True),
        (b"GET /favicon.ico?v=1 HTTP/1.1", [b"sec-fetch-dest:"], True),
        (b"GET http://localhost/favicon.ico HTTP/1.1", [b"Sec-Fetch-Dest: image"], True),
        (b"GET /favicon.ico HTTP/1.1", [], False),
        (b"PUT /favicon.ico HTTP/1.1", [b"Sec-Fetch-Dest: image"], False),
        (b"GET /favicon.icon HTTP/1.1", [b"Sec-Fetch-Dest: image"], False),
        (b"GET /a/favicon.ico HTTP/1.1", [b"Sec-Fetch-Dest: image"], False),
    ],
)
def test_a_browser_that_asks_for_an_icon_by_itself_is_known(line, fields, browser):
    head = request(*fields, line=line)
    assert asks_for_icon(head, ADMISSION.admit(head)) is browser


def test_http_1_0_without_host_passes():
    assert ADMISSION.admit(request(line=b"GET /a HTTP/1.0", host=None)) == b"/a"


def test_the_admin_listener_takes_any_host():
    assert Admission(None, frozenset()).admit(request(host=b"10.1.2.3:9000")) == b"/"


@given(st.binary(max_size=30))
def test_no_host_is_too_odd_to_be_judged(value):
    assert host_allowed(value, ALLOWED) in {True, False}


# ---- browsers


@pytest.mark.parametrize(
    "field",
    [
        b"Sec-Fetch-Site: cross-site",
        b"sec-fetch-site: Same-Site",
        b"Origin: https://evil.example",
        b"Origin: null",
        b"Origin:",
        b"Origin: https://app.example.evil",
        b"Origin: http://app.example",
        b"Origin: https://localhost",
    ],
)
def test_a_call_from_a_page_of_another_site_is_refused(field):
    failure = refusal(field)
    assert (failure.code, failure.reason) == (Code.BROWSER_REFUSED, "browser")


@pytest.mark.parametrize(
    "fields",
    [
        [b"Sec-Fetch-Site: none"],
        [b"Sec-Fetch-Site: same-origin"],
        [b"Origin: https://app.example"],
        [b"Origin: HTTPS://APP.example"],
        [b"Origin: https://app.example", b"Sec-Fetch-Site: cross-site"],
    ],
)
def test_a_call_from_an_allowed_page_or_the_address_bar_passes(fields):
    assert ADMISSION.admit(request(*fields)) == b"/"


def test_one_allowed_origin_does_not_cover_another():
    assert refusal(b"Origin: https://app.example", b"Origin: https://evil.example").code is Code.BROWSER_REFUSED


# ---- method and target


def test_a_connect_names_the_other_end_of_its_tunnel_as_its_host_and_is_refused_as_a_method():
    assert refusal(line=b"CONNECT evil.example:443 HTTP/1.1", host=b"evil.example:443").code is Code.METHOD_REFUSED


@pytest.mark.parametrize("line", [b"CONNECT localhost:443 HTTP/1.1", b"TRACE / HTTP/1.1", b"CONNECT / HTTP/1.1"])
def test_connect_and_trace_are_refused(line):
    failure = refusal(line=line)
    assert (failure.code, failure.reason) == (Code.METHOD_REFUSED, "method")


@pytest.mark.parametrize(
    ("target", "origin_form"),
    [
        (b"/", b"/"),
        (b"//a", b"//a"),
        (b"/a?b=http://x", b"/a?b=http://x"),
        (b"http://localhost/a?b", b"/a?b"),
        (b"HTTPS://api.example:443/a", b"/a"),
        (b"http://localhost", b"/"),
        (b"http://localhost?q", b"/?q"),
    ],
)
def test_a_target_comes_out_in_origin_form(target, origin_form):
    assert ADMISSION.admit(request(line=b"GET " + target + b" HTTP/1.1")) == origin_form


def test_an_asterisk_is_for_options_alone():
    assert ADMISSION.admit(request(line=b"OPTIONS * HTTP/1.1")) == b"*"
    assert refusal(line=b"GET * HTTP/1.1").code is Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"http://evil.example/", Code.HOST_REFUSED),
        (b"http://localhost@evil.example/", Code.HOST_REFUSED),
        (b"http:///a", Code.HOST_REFUSED),
        (b"http://", Code.HOST_REFUSED),
        (b"ftp://localhost/", Code.BAD_REQUEST),
        (b"localhost:80", Code.BAD_REQUEST),
        (b"a/b", Code.BAD_REQUEST),
        (b"?a", Code.BAD_REQUEST),
        (b"\\a", Code.BAD_REQUEST),
    ],
)
def test_an_absolute_target_must_name_an_allowed_host(target, code):
    assert refusal(line=b"GET " + target + b" HTTP/1.1").code is code


def test_options_of_an_address_without_a_path_asks_about_the_server():
    assert ADMISSION.admit(request(line=b"OPTIONS http://localhost HTTP/1.1")) == b"*"
    assert ADMISSION.admit(request(line=b"GET http://localhost HTTP/1.1")) == b"/"


def test_more_hosts_than_are_remembered_are_judged_all_the_same():
    admission = Admission(ALLOWED, frozenset())
    for number in range(1, 100):
        assert admission.admit(request(host=b"127.0.0.%d" % number)) == b"/"
    with pytest.raises(ClientError):
        admission.admit(request(host=b"evil"))
