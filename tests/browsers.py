"""A real browser for tests of pages: Debian's Chromium, headless, and axe-core for accessibility."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = ["--disable-dev-shm-usage", "--no-sandbox", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card
LAPTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"))


@contextmanager
def started_browser() -> Iterator["Browser"]:
    """Start a browser, or skip the test with the reason."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on the path; name one by CHROMIUM")
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        except api.Error as error:
            pytest.skip(f"{CHROMIUM} does not start here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


def axe_source() -> str:
    """Return the script of axe-core, or skip the test with the reason."""
    if not _AXE.is_file():
        pytest.skip(f"no axe-core at {_AXE}: npm install axe-core, or name axe.min.js by AXE_CORE")
    return _AXE.read_text(encoding="utf-8")


def serious_faults(page: "Page") -> list[dict[str, Any]]:
    """Return what axe-core, which the page has by now, finds that keeps people out."""
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        {"id": one["id"], "nodes": [node["html"] for node in one["nodes"]]}
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
