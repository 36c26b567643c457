"""Fixtures of the tests that look at the page through headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.inspector.browser import Browser, running_browser, wants_chromium
from tests.inspector.desk import Desk, running_desk


@pytest.fixture(scope="session")
def chromium_window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests: it takes a second to start."""
    wants_chromium()
    with running_browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium_window: Browser) -> Iterator[Browser]:
    """An empty tab; a test that leaves a complaint in the console fails."""
    chromium_window.complaints()
    yield chromium_window
    complaints = chromium_window.complaints()
    chromium_window.as_it_was()
    chromium_window.leave()
    assert not complaints, complaints


@pytest.fixture(scope="module")
def shared_desk(chromium_window: Browser) -> Iterator[Desk]:
    """For tests that only look: one page for all tests of a module (`open_once`)."""
    with running_desk() as desk:
        yield desk
        chromium_window.leave()


@pytest.fixture
def desk(chromium_window: Browser) -> Iterator[Desk]:
    """The page is left before its sidecar ends: it asks every few seconds, and complains when nobody answers."""
    with running_desk() as desk:
        yield desk
        chromium_window.leave()
