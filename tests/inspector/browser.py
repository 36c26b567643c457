"""Headless Chromium, and how the tests look at the page through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import wants

if wants.importable("selenium"):
    from selenium import webdriver
    from selenium.webdriver import ActionChains
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.remote.webelement import WebElement
    from selenium.webdriver.support.wait import WebDriverWait

DEADLINE = 40.0
# One renderer for all, and none kept in reserve or for the way back: a page opens in half the time.
_UNWANTED = [
    "SpareRendererForSitePerProcess",
    "BackForwardCache",
    "ProactivelySwapBrowsingInstance",
    "PaintHolding",
    "Translate",
    "OptimizationHints",
    "MediaRouter",
]
_FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--process-per-site",
    "--disable-site-isolation-trials",
    f"--disable-features={','.join(_UNWANTED)}",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--lang=en",
    "--window-size=1440,900",
]


def wants_chromium() -> None:
    """Without Chromium, its driver and what speaks with them the test is skipped."""
    wants.module("selenium")
    wants.program("chromedriver")
    if _chromium() is None:
        wants.program("chromium")


def _chromium() -> str | None:
    return wants.found("chromium") or wants.found("google-chrome")


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = _chromium() or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's own sandbox does not work for root
    driver = webdriver.Chrome(options=options, service=Service(wants.program("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """One tab."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """The page, once its stream is live."""
        self.driver.get(url + "/_sidecar/")
        self.until(lambda: self.text("#link") == "live")

    def open_once(self, url: str) -> None:
        """The same, unless it is open."""
        if not self.driver.current_url.startswith(url + "/"):
            self.open(url)

    def leave(self) -> None:
        self.driver.get("about:blank")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What one sees of it."""
        script = "const it = document.querySelector(arguments[0]); return it.checkVisibility() ? it.innerText : ''"
        return str(self.run(script, selector)).replace("\t", " ").strip()

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((it) => it.innerText)"
        return [str(one) for one in self.run(script, selector)]

    def rows(self) -> list[str]:
        """What the list shows, a text for each row."""
        script = "return [...document.querySelectorAll('#list tbody tr:not([hidden])')].map((row) => row.innerText)"
        return [" ".join(str(row).split()) for row in self.run(script)]

    def selected(self) -> str:
        """The path of the selected row."""
        return self.text("#list tr[aria-selected=true] td.path")

    def press(self, *keys: str) -> None:
        """Keys, whereever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], object]) -> None:
        WebDriverWait(self.driver, DEADLINE, poll_frequency=0.05).until(lambda _: holds())

    def resize(self, width: int, height: int) -> None:
        """The size of the page itself, without the window around it; 0 by 0: the window's own."""
        if not width:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            return
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.until(lambda: self.run("return innerWidth") == width)

    def emulate(self, **features: str) -> None:
        """Media features, such as prefers_color_scheme="dark"; without any, the browser's own."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def as_it_was(self) -> None:
        """The window's own size and media features."""
        self.emulate()
        self.resize(0, 0)

    def holdings(self) -> dict[str, float]:
        """What the page keeps once its garbage is collected: nodes, listeners, and bytes of its scripts' heap."""
        self.driver.execute_cdp_cmd("Performance.enable", {})
        self.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        told = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        named = {one["name"]: one["value"] for one in told}
        return {"nodes": named["Nodes"], "listeners": named["JSEventListeners"], "heap": named["JSHeapUsedSize"]}

    def complaints(self) -> list[str]:
        """What the console said since the last look: errors of scripts, refusals of the content security policy."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]
