"""Addresses as users write them, and those that would lead somewhere else than they think."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from biot_sidecar.settings import ListenAddress
from biot_sidecar.settings.addresses import is_loopback, parse_address, parse_base_url
from hypothesis import given
from hypothesis import strategies as st


def refusal(parse: Callable[[str], object], text: str) -> str:
    """What is said against it; nothing if it is taken."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.nip.io", "2130706433"]
)
def test_what_only_looks_like_loopback_is_not(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8787", ListenAddress("127.0.0.1", 8787)),
        ("[::1]:0", ListenAddress("::1", 0)),
        ("localhost:65535", ListenAddress("localhost", 65535)),
        ("my_host.example:1", ListenAddress("my_host.example", 1)),
        ("unix:a b", ListenAddress("", path="a b")),
        ("unix:" + "x" * 107, ListenAddress("", path="x" * 107)),
    ],
)
def test_an_address_is_read_and_shown_alike(text, address):
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no address"),
        ("127.0.0.1", "is no address"),
        ("127.0.0.1:", "is no address"),
        ("127.0.0.1:http", "is no address"),
        ("127.0.0.1:65536", "is no address"),
        ("127.0.0.1:-1", "is no address"),
        ("127.0.0.1:٣", "is no address"),
        (":8787", "names no host; write 127.0.0.1:8787, or 0.0.0.0:8787 for every address"),
        ("::1:8787", "an IPv6 address stands in brackets, such as [::1]:8787"),
        ("[::1:8787", "stands in brackets"),
        ("a b:1", "'a b' is no host name or address"),
        ("a..b:1", "'a..b' is no host name or address"),
        ("x" * 64 + ":1", "is no host name or address"),
        ("unix:", "needs a path of 1 to 107 bytes after unix:"),
        ("unix:" + "é" * 54, "needs a path of 1 to 107 bytes after unix:"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text, words):
    assert words in refusal(parse_address, text)


@pytest.mark.parametrize(
    ("text", "authority", "port", "prefix", "url"),
    [
        ("https://api.example", b"api.example", 443, b"", "https://api.example"),
        ("HTTPS://API.Example:443/", b"api.example", 443, b"", "https://api.example"),
        ("https://api.example:444/a/b/", b"api.example:444", 444, b"/a/b", "https://api.example:444/a/b"),
        ("https://[2001:db8::1]:8443", b"[2001:db8::1]:8443", 8443, b"", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8788", b"127.0.0.1:8788", 8788, b"", "http://127.0.0.1:8788"),
        ("http://localhost", b"localhost", 80, b"", "http://localhost"),
        ("https://h/%7Ea", b"h", 443, b"/%7Ea", "https://h/%7Ea"),
    ],
)
def test_a_base_url_is_taken_apart(text, authority, port, prefix, url):
    upstream = parse_base_url(text)
    assert (upstream.authority, upstream.port, upstream.prefix, upstream.url) == (authority, port, prefix, url)
    assert upstream.tls is text.lower().startswith("https")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("api.example", "'api.example' is no https:// address; write it as https://api."),
        ("ftp://api.example", "is no https:// address"),
        ("https:///path", "is no https:// address"),
        ("https://h:0", "is no https:// address"),
        ("https://h:99999", "is no address"),
        ("https://h:http", "is no address"),
        ("https://[::1", "is no address"),
        ("https://user:canary@h", "holds a user name or password"),
        ("user:canary@h", "holds a user name or password"),
        ("https://h?a=canary", "holds a query or fragment"),
        ("https://h/#", "holds a query or fragment"),
        ("https://h/a b", "holds white space or a control character"),
        ("https://h/a\tb", "holds white space or a control character"),
        ("https://canary:canary@h\n/", "holds white space or a control character"),
        ("https://ü.example", "write names in ASCII (punycode)"),
        ("https://a..b", "'a..b' is no host name or address"),
        ("https://h/../a", "the path '/../a' holds characters or dot segments"),
        ("https://h/%2e%2E/a", "dot segments"),
        ("https://h/./a", "dot segments"),
        ("https://h/a%zz", "do not belong there"),
        ("https://h/a\\b", "do not belong there"),
    ],
)
def test_a_base_url_that_misleads_is_refused_in_words(text, words):
    assert words in refusal(parse_base_url, text)
    assert "canary" not in refusal(parse_base_url, text)


@given(st.text(max_size=40))
def test_whatever_is_written_is_taken_or_refused_with_a_sentence(text):
    for parse in (parse_address, parse_base_url):
        said = refusal(parse, text)
        assert said == "" or len(said) > 10


def test_a_final_dot_is_for_dns_alone():
    upstream = parse_base_url("https://api.example.:443")
    assert (upstream.host, upstream.authority) == ("api.example.", b"api.example")
    with pytest.raises(ValueError, match="no host name"):
        parse_base_url("https://api.example..:443")
    local = parse_base_url("http://LocalHost.:8080")
    assert (local.host, local.authority) == ("localhost", b"localhost:8080")


def test_where_there_are_no_unix_sockets_one_is_refused_in_words():
    with pytest.raises(
        ValueError, match=r"'unix:/s': Python has none here; write HOST:PORT, such as 127\.0\.0\.1:8787"
    ):
        parse_address("unix:/s", "Python has none here")
    assert parse_address("127.0.0.1:1", "Python has none here").port == 1
