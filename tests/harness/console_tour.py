"""A tour of the console in a real browser: what a newcomer operator clicks, on every page of which axe is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request

from deploy.demo import browser

COMPLAINTS = ("error", "warning")
SERIOUS = ("serious", "critical")
AXE_OPTIONS = json.dumps({"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]})


@dataclass(slots=True)
class Tour:
    """One visitor; collects what axe found, what the browser complained of, and who was asked for anything."""

    page: Page
    axe: str
    findings: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def look(self, heading: str | re.Pattern[str]) -> None:
        """Wait for the page with this heading, and ask axe about it."""
        self.page.get_by_role("heading", level=1, name=heading).wait_for()
        self.page.evaluate(self.axe)
        result: dict[str, Any] = self.page.evaluate(f"axe.run(document, {AXE_OPTIONS})")
        self.findings += [
            f"{self.page.url}: {found['id']} ({found['impact']}) at {[node['target'] for node in found['nodes']][:3]}"
            for found in result["violations"]
            if found["impact"] in SERIOUS
        ]

    def follow(self, link: str) -> None:
        """Click a link of the top bar."""
        self.page.get_by_role("navigation").get_by_role("link", name=link, exact=True).click()


@contextmanager
def tour(url: str, token: str, axe: Path) -> Iterator[Tour]:
    """A visitor who has signed in, in a fresh browser."""
    with browser.opened(url) as page:
        visitor = Tour(page, (axe / "axe.min.js").read_text("utf-8"))
        page.on("console", lambda said: visitor.complaints.append(said.text) if said.type in COMPLAINTS else None)
        page.on("request", lambda request: _note(request, visitor.asked))
        visitor.look("Sign in")
        browser.sign_in(page, token)
        yield visitor


def _note(request: Request, asked: set[str]) -> None:
    asked.add(request.url.split("/")[2])


def read_a_story(visitor: Tour, reference: str) -> list[str]:
    """Find a facility by its reference, read its story in both languages; the titles of its events in order."""
    page = visitor.page
    visitor.follow("Facilities")
    visitor.look("Facilities")
    page.get_by_role("searchbox").fill(reference)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=reference).click()
    visitor.look(re.compile(reference))
    titles: list[str] = page.locator("article h3").all_inner_texts()
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", level=3, name="收到客户推荐").wait_for()
    visitor.look(re.compile(reference))
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", level=3, name="Referral received").wait_for()
    return titles


def wait_until_parked(visitor: Tour, service: str, key: str, patience: Callable[[Callable[[], bool]], None]) -> None:
    """Reload the list until the key shows there, and open it at one service."""

    def shown() -> bool:
        visitor.follow("Parked")
        visitor.look("Parked")
        return bool(visitor.page.get_by_role("link", name=f"Decide {service} {key}").count())

    patience(shown)
    visitor.page.get_by_role("link", name=f"Decide {service} {key}").click()
    visitor.look(re.compile(key))


def apply_again(visitor: Tour) -> str:
    """Confirm and apply; what the console says then."""
    visitor.page.get_by_label("The cause is mended").check()
    visitor.page.get_by_role("button", name="Apply again").click()
    return visitor.page.get_by_role("status").inner_text()


def discard(visitor: Tour, reason: str) -> str:
    """Give a reason, confirm and discard; what the console says then."""
    page = visitor.page
    page.get_by_text("Discard…").click()
    visitor.look(re.compile(""))
    page.get_by_label("Reason, for the log").fill(reason)
    page.get_by_label("Drop this event for good.").check()
    page.get_by_role("button", name="Discard", exact=True).click()
    return page.get_by_role("status").inner_text()
