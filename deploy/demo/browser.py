"""A real Chromium, driven over the console as an operator would: for pictures of it, and for its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses to run as root with one; the only pages shown are the platform's own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 60_000
SIZE = (1280, 860)


@contextmanager
def opened(url: str, *, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """A fresh browser at the console's first page, without any cookie."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            width, height = SIZE
            page = browser.new_page(
                base_url=url, viewport={"width": width, "height": height}, color_scheme=scheme, locale="en"
            )
            page.set_default_timeout(WAIT_MS)
            page.goto("/")
            yield page
        finally:
            browser.close()


def sign_in(page: Page, token: str) -> None:
    """Hand the token over on the page to which a visitor without one is sent."""
    page.get_by_label("Access token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
