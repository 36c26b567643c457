"""The page as wide and as narrow as windows are: one page in headless Chromium for all widths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.inspector.browser import Browser
from tests.inspector.desk import Desk, sidecar_status
from tests.inspector.examples import finished
from tests.support import wants

if wants.importable("selenium"):
    from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def two_requests(shared_desk: Desk) -> Desk:
    shared_desk.sources.said = sidecar_status(rules={"patient updates run interceptors": 3})
    shared_desk.show(finished(cut=True, tries=3), finished())
    return shared_desk


@pytest.fixture
def page(chromium_window: Browser, two_requests: Desk) -> Iterator[Browser]:
    """The page, without details."""
    chromium_window.complaints()
    chromium_window.open_once(two_requests.url)
    chromium_window.until(lambda: len(chromium_window.rows()) == 2 and chromium_window.all("#rules button"))
    yield chromium_window
    chromium_window.press(Keys.ESCAPE)
    chromium_window.as_it_was()
    assert not chromium_window.complaints()


@pytest.mark.parametrize("width", [420, 560, 700, 820, 1000, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_path_and_what_came_of_it_are_there_at_any_width(page: Browser, width: int, theme: str) -> None:
    page.emulate(prefers_color_scheme=theme)
    page.resize(width, 800)
    page.find("#list tbody tr:last-child").click()
    for selector in ("td.path", "td.status", "td.method"):
        cell = page.find(f"#list tbody tr:last-child {selector}")
        assert page.run(
            "return arguments[0].clientWidth > 50 && arguments[0].scrollWidth <= arguments[0].clientWidth", cell
        )
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for pane in ("#scroll", "#details", "aside"):
        assert page.run("const pane = arguments[0]; return pane.scrollWidth <= pane.clientWidth", page.find(pane)), pane
