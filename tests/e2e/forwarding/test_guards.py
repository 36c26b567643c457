"""Who may ask at all: hosts, browsers, methods, and the paths that are our own."""

import time
from email.utils import parsedate_to_datetime

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import lines, request

pytestmark = LIVE


def with_host(host, *fields, target=b"/g"):
    return lines(b"GET %s HTTP/1.1" % target, b"Host: " + host, *fields)


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"127.0.0.1:8787",
        b"127.0.0.1:1",
        b"localhost",
        b"LocalHost:80",
        b"[::1]",
        b"[::1]:8787",
        b"[0:0:0:0:0:0:0:1]:8787",
        b"biot.localhost",
        b"127.3.2.1",
        b"lambda.aws.com",
        b"localhost ",
    ],
)
async def test_loopback_names_and_the_seeds_host_may_ask(house, host):
    assert_passed_on(await house.ask(with_host(host)), 200)
    assert house.upstream.requests[0].head.values(b"host") == [house.upstream.authority]


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8787",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"notlocalhost",
        b"10.0.0.1",
        b"0.0.0.0",
        b"xlambda.aws.com",
        b"aws.com",
        b"[::2]",
    ],
)
async def test_another_host_is_refused(house, host):
    assert_ours(await house.ask(with_host(host)), 421, "SIDECAR_HOST_REFUSED")
    assert house.upstream.requests == []


async def test_the_settings_say_which_hosts_may_ask(start):
    house = await start(SIDECAR_ALLOWED_HOSTS="plugins.example, other.example")
    assert_passed_on(await house.ask(with_host(b"plugins.example")), 200)
    assert_passed_on(await house.ask(with_host(b"OTHER.example:99")), 200)
    assert_ours(await house.ask(with_host(b"evil.example")), 421, "SIDECAR_HOST_REFUSED")


async def test_the_upstreams_own_host_may_ask(house):
    assert_passed_on(await house.ask(with_host(house.upstream.authority)), 200)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"Cross-Site", b"cross-site ", b"\tsame-site\t"])
async def test_a_browsers_call_from_another_site_is_refused(house, site):
    assert_ours(await house.get("/g", b"Sec-Fetch-Site: " + site), 403, "SIDECAR_BROWSER_REFUSED")
    assert house.upstream.requests == []


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
async def test_a_browsers_own_call_passes(house, site):
    assert_passed_on(await house.get("/g", b"Sec-Fetch-Site: " + site), 200)


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"http://127.0.0.1.evil.example", b"", b"http://localhost:3000"]
)
async def test_an_origin_that_is_not_allowed_is_refused(house, origin):
    assert_ours(await house.get("/g", b"Origin: " + origin), 403, "SIDECAR_BROWSER_REFUSED")
    assert house.upstream.requests == []


async def test_a_second_origin_does_not_hide_the_first(start):
    house = await start(SIDECAR_ALLOWED_ORIGINS="https://console.example")
    for fields in (
        [b"https://console.example", b"https://evil.example"],
        [b"https://evil.example", b"https://console.example"],
    ):
        answer = await house.get("/g", *(b"Origin: " + origin for origin in fields))
        assert answer.status in (400, 403), answer
    assert house.upstream.requests == []


async def test_the_settings_say_which_origins_may_call(start):
    house = await start(SIDECAR_ALLOWED_ORIGINS="https://console.example,http://localhost:3000")
    assert_passed_on(await house.get("/g", b"Origin: https://console.example"), 200)
    assert_passed_on(await house.get("/g", b"Origin: http://localhost:3000"), 200)
    assert_ours(await house.get("/g", b"Origin: http://localhost:3001"), 403, "SIDECAR_BROWSER_REFUSED")
    assert_ours(await house.get("/g", b"Origin: https://console.example.evil.example"), 403, "SIDECAR_BROWSER_REFUSED")


@pytest.mark.parametrize("target", ["127.0.0.1:443", "evil.example:443", "/g"])
async def test_connect_is_refused(house, target):
    answer = await house.ask(request("CONNECT", target))
    assert_ours(answer, 405, "SIDECAR_METHOD_REFUSED")
    assert answer.head.values(b"allow") == [b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]
    assert house.upstream.requests == []


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (lines(b"CONNECT api.example:443 HTTP/1.1", b"Host: api.example:443"), 405),
        (lines(b"GET http://evil.example/x HTTP/1.1", b"Host: evil.example"), 421),
        (lines(b"GET http://evil.example/x HTTP/1.1", b"Host: localhost"), 421),
    ],
)
async def test_a_plugin_that_takes_the_sidecar_for_its_proxy_is_told_what_to_unset(house, raw, status):
    answer = await house.ask(raw)
    assert_ours(answer, status, "SIDECAR_METHOD_REFUSED", "SIDECAR_HOST_REFUSED")
    hint = answer.json["details"]["hint"]
    assert "HTTP_PROXY" in hint
    assert f"http://127.0.0.1:{house.sidecar.port}" in hint
    assert house.upstream.requests == []


async def test_a_hint_names_the_port_that_is_listened_at(house):
    hint = (await house.ask(with_host(b"evil.example"))).json["details"]["hint"]
    assert hint == f"Call http://127.0.0.1:{house.sidecar.port}, or add the name to SIDECAR_ALLOWED_HOSTS."


async def test_nothing_said_through_a_refused_tunnel_is_forwarded(house):
    client = await house.client()
    await client.send(request("CONNECT", "127.0.0.1:443") + b"\x16\x03\x01garbage\r\n\r\n")
    assert_ours(await client.read_answer(), 405, "SIDECAR_METHOD_REFUSED")
    await house.fence()
    assert [exchange.target for exchange in house.upstream.requests] == [b"/fence"]


async def test_trace_is_refused(house):
    answer = await house.ask(request("TRACE", "/g"))
    assert_ours(answer, 405, "SIDECAR_METHOD_REFUSED")
    assert answer.head.values(b"allow") == [b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]
    assert house.upstream.requests == []


OWN = ["/metrics", "/healthz", "/readyz", "/_sidecar/status", "/_sidecar/explain?method=GET&path=/x"]


@pytest.mark.parametrize("path", OWN)
async def test_our_own_paths_are_answered_here(house, path):
    assert (await house.get(path)).status == 200
    assert house.upstream.requests == []


@pytest.mark.parametrize("path", OWN)
async def test_our_own_paths_take_no_other_method(house, path):
    answer = await house.ask(request("POST", path, body=b"x"))
    assert_ours(answer, 405, "SIDECAR_METHOD_REFUSED")
    assert answer.head.values(b"allow") == [b"GET, HEAD"]
    assert house.upstream.requests == []


@pytest.mark.parametrize("path", OWN)
async def test_head_on_our_own_paths_is_get_without_its_body(house, path):
    client = await house.client()
    answer = await client.ask(request("HEAD", path), "HEAD")
    assert answer.status == 200
    assert answer.head.length > 0
    got = await client.ask(request("GET", path))
    assert got.status == 200
    assert [name for name, _ in got.fields] == [name for name, _ in answer.fields]
    assert house.upstream.requests == []


@pytest.mark.parametrize("raw", [request("GET", "/healthz"), request("GET", "/closed/x"), b"GET / HTTP/9.9\r\n\r\n"])
async def test_an_answer_of_ours_says_when_it_was_made(house, raw):
    before = time.time()
    (date,) = (await house.ask(raw)).head.values(b"date")
    assert before - 1 <= parsedate_to_datetime(date.decode()).timestamp() <= time.time()


async def test_a_browser_that_asks_for_an_icon_by_itself_does_not_ask_biot(house):
    answer = await house.get("/favicon.ico", b"Sec-Fetch-Dest: image", b"Sec-Fetch-Site: same-origin")
    assert_ours(answer, 404, "SIDECAR_NOT_FOUND")
    assert house.upstream.requests == []
    assert_passed_on(await house.get("/favicon.ico"), 200)


async def test_the_closed_inspector_says_what_opens_it(house):
    answer = await house.get("/_sidecar/")
    assert_ours(answer, 404, "SIDECAR_NOT_FOUND")
    assert "SIDECAR_INSPECT=1" in answer.json["details"]["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/_sidecar",
        "/_sidecar/",
        "/_sidecar/nothing",
        "/_sidecar/status/more",
        "/_sidecar?x=1",
        "/_sidecar/a%2fb",
        "//_sidecar/x",
    ],
)
async def test_unknown_paths_of_our_own_get_404_and_stay_here(house, path):
    assert (await house.get(path)).status == 404
    assert house.upstream.requests == []


@pytest.mark.parametrize(
    "path", ["/%5fsidecar/status", "/_%73idecar/nothing", "//_sidecar/status", "/%6detrics", "//metrics", "/metrics/"]
)
async def test_other_spellings_of_our_own_paths_never_reach_biot(house, path):
    await house.get(path)
    assert house.upstream.requests == []


@pytest.mark.parametrize(
    "path", ["/metricsx", "/healthz2", "/_sidecars/x", "/x/_sidecar/status", "/x/metrics", "/_Sidecar"]
)
async def test_paths_that_only_look_like_ours_are_forwarded(house, path):
    assert_passed_on(await house.get(path), 200)
    assert house.upstream.requests[0].target == path.encode()


@pytest.mark.parametrize("path", OWN)
async def test_the_guards_cover_our_own_paths_too(house, path):
    assert_ours(await house.ask(with_host(b"evil.example", target=path.encode())), 421, "SIDECAR_HOST_REFUSED")
    assert_ours(await house.get(path, b"Origin: https://evil.example"), 403, "SIDECAR_BROWSER_REFUSED")
    assert_ours(await house.get(path, b"Sec-Fetch-Site: cross-site"), 403, "SIDECAR_BROWSER_REFUSED")


@pytest.mark.parametrize(
    "path",
    [
        "/closed/x",
        "/closed",
        "//closed/x",
        "/closed//x",
        "/%63losed/x",
        "/closed%2Fx",
        "/closed;v=1/x",
        "/CLOSED/x",
        "/%2563losed/x",
        "/x%2f..%2fclosed/x",
    ],
)
async def test_a_denied_path_is_denied_in_every_reading(house, path):
    answer = await house.get(path)
    if answer.status != 400:
        assert_ours(answer, 403, "SIDECAR_ROUTE_DENIED")
    assert house.upstream.requests == []


async def test_a_denial_gives_the_reason(house):
    error = (await house.get("/closed/x")).json
    assert "nobody goes here" in error["message"]
    assert error["details"]["route"] == "closed"


async def test_an_upgrade_is_not_offered(house):
    answer = await house.get("/g", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
    assert_passed_on(answer, 200)
    assert b"upgrade" not in house.upstream.requests[0].head.names


async def test_an_h2c_offer_is_taken_as_a_plain_request_with_its_body_and_its_successor(house):
    client = await house.client()
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAA")
    await client.send(request("POST", "/g/1", *offer, body=b"body") + request("GET", "/g/2"))
    assert_passed_on(await client.read_answer(), 200)
    assert_passed_on(await client.read_answer(), 200)
    assert [(e.target, e.content) for e in house.upstream.requests] == [(b"/g/1", b"body"), (b"/g/2", b"")]
    assert not house.upstream.requests[0].head.names & {b"upgrade", b"http2-settings", b"connection"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_leaves_the_connection_in_step_or_closed(house, method):
    client = await house.client()
    await client.send(
        request(method, "/closed/x", body=b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        + request("GET", "/next")
    )
    assert_ours(await client.read_answer(), 403, "SIDECAR_ROUTE_DENIED")
    head = await client.read_head()
    await house.fence()
    assert house.upstream.seen("/smuggled") == []
    assert len(house.upstream.seen("/next")) == (0 if head is None else 1)
