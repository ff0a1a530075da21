"""A real browser for tests that look at the page: skipped where there is none, required in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
TIMEOUT = 15_000
"""Milliseconds that a step of the page, or what it shows in the end, may take on a busy machine."""
expect.set_options(timeout=TIMEOUT)


def browser_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(browser_path() is None and "CI" not in os.environ, reason="needs chromium")
"""For a test that opens pages."""


@asynccontextmanager
async def page_at(url: str, *, width: int = 1280, height: int = 800) -> AsyncIterator[Page]:
    """Open `url` in a headless browser of its own."""
    path = browser_path()
    assert path, "chromium is not installed"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            page = await browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(TIMEOUT)
            await page.goto(url)
            yield page
        finally:
            await browser.close()
