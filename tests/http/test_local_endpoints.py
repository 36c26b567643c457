"""The sidecar's own pages."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http.local_endpoints import LocalEndpoints


class FakeSources:
    def __init__(self) -> None:
        self.reason: str | None = None

    async def render_metrics(self, accept: str) -> tuple[str, bytes]:
        return f"type for {accept}", b"metrics"

    def unready(self) -> str | None:
        return self.reason

    def token_state(self):
        return {"state": "none", "last_error": "BioT answered 500"}

    async def status(self):
        return {"routes": []}

    def explain(self, method: str, path: str):
        return {"method": method, "path": path}


def reraise(error: BaseException) -> None:
    raise error


@pytest.fixture
def sources():
    return FakeSources()


async def get(sources, path: bytes, query: bytes = b"", *, everything: bool = True):
    return await LocalEndpoints(sources, reraise, everything=everything).get(path, query, b"text/html")


async def test_metrics_come_in_the_form_that_was_asked_for(sources):
    page = await get(sources, b"/metrics")
    assert (page.status, page.content_type, page.body) == (200, "type for text/html", b"metrics")


async def test_the_process_is_healthy_while_it_answers(sources):
    sources.reason = "logins are blocked"
    assert (await get(sources, b"/healthz")).status == 200


async def test_readiness_says_why_not(sources):
    token = {"state": "none", "last_error": "BioT answered 500"}
    page = await get(sources, b"/readyz")
    assert (page.status, page.content_type) == (200, "application/json")
    assert json.loads(page.body) == {"ready": True, "reason": None, "token": token}
    sources.reason = "logins are blocked"
    page = await get(sources, b"/readyz")
    assert page.status == 503
    assert json.loads(page.body) == {"ready": False, "reason": "logins are blocked", "token": token}


async def test_status_and_explain_are_json(sources):
    assert json.loads((await get(sources, b"/_sidecar/status")).body) == {"routes": []}
    page = await get(sources, b"/_sidecar/explain", b"method=GET&path=/a%20b&path=/c")
    assert (page.content_type, json.loads(page.body)) == ("application/json", {"method": "GET", "path": "/c"})


@pytest.mark.parametrize("path", ["/é", "/%C3%A9", "/\udcff"])
@pytest.mark.parametrize("quoted", [True, False])
async def test_explain_takes_a_path_byte_for_byte(sources, path, quoted):
    raw = path.encode("utf-8", "surrogateescape")
    sent = quote(raw).encode() if quoted else raw.replace(b"%", b"%25")
    page = await get(sources, b"/_sidecar/explain", b"method=GET&path=" + sent)
    assert json.loads(page.body)["path"] == path


@pytest.mark.parametrize(
    "query", [b"", b"method=GET", b"path=/", b"method=&path=", b"\xff&%", b"method=GET&path=ums", b"method=G(T&path=/"]
)
async def test_explain_needs_a_method_and_a_path(sources, query):
    with pytest.raises(ClientError) as caught:
        await get(sources, b"/_sidecar/explain", query)
    assert caught.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize("path", [b"/", b"/metricsx", b"/_sidecar", b"/_sidecar/x"])
def test_there_is_no_other_page(sources, path):
    assert not LocalEndpoints(sources, reraise, everything=True).has(path)


@pytest.mark.parametrize("path", [b"/_sidecar/status", b"/_sidecar/explain"])
def test_the_admin_listener_shows_three_pages_alone(sources, path):
    assert not LocalEndpoints(sources, reraise, everything=False).has(path)
    assert all(
        LocalEndpoints(sources, reraise, everything=False).has(page) for page in (b"/metrics", b"/healthz", b"/readyz")
    )


@pytest.mark.parametrize("page", [b"/metrics", b"/readyz", b"/_sidecar/status"])
async def test_a_page_that_fails_is_answered_and_reported(page):
    class Broken(FakeSources):
        render_metrics = status = token_state = lambda *_: {}["missing"]

    reported: list[BaseException] = []
    response = await LocalEndpoints(Broken(), reported.append, everything=True).get(page, b"", b"")
    assert response.status == 500
    assert b"missing" not in response.body
    assert [type(error) for error in reported] == [KeyError]
