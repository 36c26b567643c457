"""Which proxy is on the way to BioT: the sidecar's own setting, and the variables that other programs read, too."""

from __future__ import annotations

import pytest
from biot_sidecar.settings.proxy_address import parse_proxy
from biot_sidecar.settings.upstream_proxy import bypasses

from tests.settings.given import problem, settings

CANARY = "canary-password"


def via(**more: str | None) -> str:
    given = settings(**more)
    assert given.warnings == ()
    return given.via


@pytest.mark.parametrize(
    ("text", "tls", "host", "port", "login"),
    [
        ("px", False, "px", 80, None),
        ("px:3128", False, "px", 3128, None),
        ("http://px", False, "px", 80, None),
        ("HTTP://PX.example.:8080/", False, "px.example.", 8080, None),
        ("https://px", True, "px", 443, None),
        ("https://[2001:db8::1]:3129", True, "2001:db8::1", 3129, None),
        ("http://user:word@px", False, "px", 80, "dXNlcjp3b3Jk"),
        ("user@px:1", False, "px", 1, "dXNlcjo="),
        ("http://@px", False, "px", 80, None),
        ("http://us%65r:p%40%3A%2f@px", False, "px", 80, "dXNlcjpwQDov"),
        ("http://user:p@ss@px", False, "px", 80, "dXNlcjpwQHNz"),
        (r"http://firm\user:word@px", False, "px", 80, "ZmlybVx1c2VyOndvcmQ="),
        ("http://jos%C3%A9:é@px", False, "px", 80, "am9zw6k6w6k="),
        ("http://user:100%@px", False, "px", 80, "dXNlcjoxMDAl"),
    ],
)
def test_a_proxys_address_is_read(text, tls, host, port, login):
    proxy = parse_proxy(text, "HTTPS_PROXY")
    assert (proxy.tls, proxy.host, proxy.port) == (tls, host, port)
    assert (proxy.credentials and proxy.credentials.reveal()) == login
    assert login is None or login not in repr(proxy)


@pytest.mark.parametrize(
    "text",
    [
        f"socks5://u:{CANARY}@px:1080",
        f"{CANARY}://px",
        f"http://u:{CANARY}@",
        f"http://u:{CANARY}@p x",
        f"http://u:{CANARY}@px:0",
        f"http://u:{CANARY}@px:65536",
        f"http://u:{CANARY}@px:port",
        f"http://u:{CANARY}@[::1",
        f"http://u:{CANARY}@::1:8080",
        f"http://u:{CANARY}@bücher.example",
        f"http://u:{CANARY}/x@px",
        f"http://u:{CANARY}%0a@px",
        f"http://u%3A:{CANARY}@px",
        f"http://{CANARY}.example/proxy.pac",
        "://",
        "http://",
    ],
)
def test_what_is_no_proxys_address_is_refused_at_start_or_warned_about_and_nothing_of_it_is_shown(text):
    said = problem(SIDECAR_UPSTREAM_PROXY=text)
    assert said.startswith("SIDECAR_UPSTREAM_PROXY: ")
    assert CANARY not in said
    given = settings(HTTPS_PROXY=text)
    assert given.via == ""
    (warning,) = given.warnings
    assert warning.startswith("HTTPS_PROXY: ")
    assert warning.endswith("; it is not used")
    assert CANARY not in warning


def test_only_the_variable_of_the_base_urls_scheme_counts_and_then_all_proxy():
    three = {"HTTPS_PROXY": "s:1", "HTTP_PROXY": "h:2", "ALL_PROXY": "a:3"}
    assert via(**three) == "s:1"
    plain = {"BIOT_BASE_URL": "http://api.example", "SIDECAR_ALLOW_PLAIN_HTTP": "1"}
    assert via(**three, **plain) == "h:2"
    assert via(HTTP_PROXY="h:2") == ""
    assert via(HTTP_PROXY="h:2", ALL_PROXY="a:3") == "a:3"
    assert via(HTTPS_PROXY="", ALL_PROXY="a:3") == "a:3"


def test_lower_case_wins():
    assert via(https_proxy="low:1", HTTPS_PROXY="high:2") == "low:1"
    assert via(https_proxy=" ", HTTPS_PROXY="high:2") == "high:2"
    assert via(all_proxy="low:1", ALL_PROXY="high:2") == "low:1"
    assert via(HTTPS_PROXY="px:1", no_proxy="other.example", NO_PROXY="api.example") == "px:1"
    assert settings(https_proxy="low:1").upstream_proxy.source == "https_proxy"


def test_one_that_cannot_be_used_leaves_the_next():
    given = settings(HTTPS_PROXY="socks5://px", ALL_PROXY="a:3")
    assert given.via == "a:3"
    assert "socks5" in given.warnings[0]


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("", "api.example", 443, False),
        ("*", "api.example", 443, True),
        ("api.example", "api.example", 443, True),
        ("API.Example.", "api.example", 443, True),
        ("example", "api.example", 443, True),
        (".example", "api.example", 443, True),
        (".example", "example", 443, True),
        ("*.example", "api.example", 443, True),
        ("ample", "api.example", 443, False),
        ("pi.example", "api.example", 443, False),
        ("other, api.example ,more", "api.example", 443, True),
        ("other api.example", "api.example", 443, True),
        ("api.example:443", "api.example", 443, True),
        ("api.example:8443", "api.example", 443, False),
        ("*:8443", "api.example", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:444", "10.1.2.3", 443, False),
        ("10.1.0.0/16", "10.1.2.3", 443, True),
        ("10.1.0.1/16", "10.1.2.3", 443, True),
        ("10.2.0.0/16", "10.1.2.3", 443, False),
        ("2.3", "10.1.2.3", 443, False),
        ("2001:db8::/32", "2001:db8::5", 443, True),
        ("2001:db8::5", "2001:db8::5", 443, True),
        ("[2001:db8::5]:443", "2001:db8::5", 443, True),
        ("[2001:db8::5]:1", "2001:db8::5", 443, False),
        ("::ffff:10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.0/24", "api.example", 443, False),
        (",, .,:,nonsense/99,[", "api.example", 443, False),
    ],
)
def test_no_proxy(no_proxy, host, port, expected):
    assert bypasses(no_proxy, host, port) is expected
    shown = f"[{host}]" if ":" in host else host
    assert (via(BIOT_BASE_URL=f"https://{shown}:{port}", HTTPS_PROXY="px:1", NO_PROXY=no_proxy) == "") is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "LOCALHOST", "[::1]", "biot.localhost"])
def test_loopback_never_goes_through_one(host):
    base = {"BIOT_BASE_URL": f"https://{host}:9"}
    assert via(HTTPS_PROXY="px:1", ALL_PROXY="socks5://px", **base) == ""
    given = settings(SIDECAR_UPSTREAM_PROXY="px:1", **base)
    assert given.via == ""
    assert "SIDECAR_UPSTREAM_PROXY: is not used" in given.warnings[0]


def test_the_sidecars_own_setting_overrides_the_shared_ones():
    shared = {"HTTPS_PROXY": "socks5://nonsense", "NO_PROXY": "*"}
    assert via(SIDECAR_UPSTREAM_PROXY="own:1", **shared) == "own:1"
    assert via(SIDECAR_UPSTREAM_PROXY="none", HTTPS_PROXY="px:1") == ""
    assert via(SIDECAR_UPSTREAM_PROXY="NONE", HTTPS_PROXY="px:1") == ""


@pytest.mark.parametrize("listen", ["127.0.0.1:8787", "localhost:8787", "0.0.0.0:8787"])
def test_one_that_names_our_own_listener_is_not_used(listen):
    ours = {"SIDECAR_LISTEN": listen, "SIDECAR_ALLOW_REMOTE": "1"}
    given = settings(HTTPS_PROXY="http://127.0.0.1:8787", **ours)
    assert given.via == ""
    assert given.warnings == ("HTTPS_PROXY: names the sidecar itself (port 8787); it is not used",)
    assert "names the sidecar itself" in problem(SIDECAR_UPSTREAM_PROXY="127.0.0.1:8787", **ours)
    assert "names the sidecar" in problem(SIDECAR_UPSTREAM_PROXY="[::1]:9", SIDECAR_ADMIN_LISTEN="[::1]:9", **ours)
    assert via(HTTPS_PROXY="127.0.0.1:3128", **ours) == "127.0.0.1:3128"
