"""A browser for the tests of the page: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)}")
    # The sandbox of the browser does not work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=options)
        yield browser
        browser.close()


class Visitor:
    """Somebody who uses the page, and what went wrong while they did."""

    def __init__(self, browser: Any, port: int, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.goto(f"http://127.0.0.1:{port}/")
        self.page.wait_for_selector("html[data-ready]")

    def _heard(self, message: Any) -> None:
        # A request that is refused, or breaks off, is told by the browser as well as by the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def choose(self, first: Any, second: Any) -> None:
        """Choose both prints to compare: paths, or files as Playwright has them."""
        for number, file in enumerate((first, second), start=1):
            self.page.set_input_files(f"[aria-label^='Print {number}:']", file)

    def compare(self) -> None:
        """Compare both, and wait for the evidence."""
        self.page.click("#compare-form button.primary")
        self.page.wait_for_selector("#compare-result .exports")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def tab(self, name: str) -> None:
        self.page.click(f"role=tab[name='{name}']")

    def saved(self, button: str) -> Path:
        """Press a button that saves a file, and return its path."""
        with self.page.expect_download() as download:
            self.page.click(f"role=button[name='{button}']")
        return Path(download.value.path())


def file_of(name: str, data: bytes, kind: str = "image/png") -> dict[str, Any]:
    """Return a file as Playwright chooses it."""
    return {"name": name, "mimeType": kind, "buffer": data}
