"""Draw the pictures of the page: ``python recipes/page_pictures.py``.

It starts the service with the weights that ship, opens its page in Chromium by Playwright, which
the extra ``dev`` installs, and compares the synthetic prints in the package. Run it again where
weights or the page change, and look at what it drew.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "img"
WIDE, PHONE = (1000, 900), (360, 740)
COLOURS = 64
"""Enough for grey prints and few hues, and a quarter of the bytes."""


def main(out: Path = IMAGES) -> None:
    """Draw all of them into a folder."""
    with served() as address, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = compared(browser, address, WIDE)
        keep(page, out / "page_cells.png")
        page.click("role=tab[name='Minutiae']")
        page.wait_for_selector(".view table")
        keep(page, out / "page_minutiae.png", ".view")
        keep(compared(browser, address, PHONE), out / "page_phone.png")
        browser.close()


@contextmanager
def served() -> Iterator[str]:
    """Answer at a free port; yields the address."""
    command = [sys.executable, "-m", "ifvit.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def compared(browser: Any, address: str, size: tuple[int, int]) -> Any:
    """Return a page on which the first two examples are compared."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.select_option("#examples", index=1)
    page.wait_for_timeout(1000)
    page.click("#compare-form button.primary")
    page.wait_for_selector("#compare-result .exports")
    page.wait_for_timeout(500)
    return page


def keep(page: Any, to: Path, part: str = "main") -> None:
    """Write a part of the page as a small PNG."""
    with Image.open(io.BytesIO(page.locator(part).first.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS).save(to, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
