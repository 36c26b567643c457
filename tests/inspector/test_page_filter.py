"""Which requests a filter leaves: one page in headless Chromium for all filters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from biot_sidecar.errors import Code

from tests.inspector.browser import Browser
from tests.inspector.desk import Desk
from tests.inspector.examples import FILES, TRACE, finished, verdict
from tests.support import wants

if wants.importable("selenium"):
    from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def three_requests(shared_desk: Desk) -> Desk:
    shared_desk.show(
        finished(),
        finished(status=404, verdict=verdict("/file/v1/files/{id}", FILES)),
        finished(status=503, method=b"DELETE", interception="none", code=Code.LOGIN_UNAVAILABLE),
    )
    return shared_desk


@pytest.fixture
def page(chromium_window: Browser, three_requests: Desk) -> Iterator[Browser]:
    """The page, without a filter."""
    chromium_window.complaints()
    chromium_window.open_once(three_requests.url)
    chromium_window.until(lambda: len(chromium_window.rows()) == 3)
    yield chromium_window
    chromium_window.press("/", Keys.ESCAPE, Keys.ESCAPE)
    assert not chromium_window.complaints()


@pytest.mark.parametrize(
    ("words", "statuses"),
    [
        ("status:5xx", [503]),
        ("status:4", [404]),
        ("status:200", [200]),
        ("-status:5xx", [404, 200]),
        ("rule:themselves", [404]),
        ('rule:"USERS may act"', [404]),
        ("method:delete", [503]),
        ("patients", [503, 200]),
        ("patients -status:5xx", [200]),
        ("code:login", [503]),
        ("interception:set", [404, 200]),
        ("observed:keys", []),
        (f"trace:{TRACE[:8]}", [503, 404, 200]),
        ("http://no", []),
        ("nothing-like-this", []),
        ("  ", [503, 404, 200]),
    ],
)
def test_filters_by_words(page: Browser, words: str, statuses: list[int]) -> None:
    page.press("/", *words)
    page.until(lambda: len(page.rows()) == len(statuses))
    assert [int(status[:3]) for status in page.texts("#list tr:not([hidden]) td.status")] == statuses
