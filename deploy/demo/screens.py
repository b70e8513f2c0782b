"""Takes the README's pictures of the console: `python -m deploy.demo.screens` starts a platform of its own for them.

On it a generated branch lives through its whole run, new loans are paid out, and the operators' exercise
(`deploy/demo/drill.py`) has something parked.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deploy.demo import browser
from deploy.demo.client import Client
from deploy.demo.drill import put_back
from deploy.demo.opening import next_monday, open_branch, pay_out
from deploy.local import demo
from deploy.local.stack import Stack
from libs.runtime.auth import HEAD_OFFICE
from libs.runtime.policies import ROOT

FOLDER = ROOT / "docs" / "screens"
PAGES = (("overview", "/"), ("topics", "/topics"), ("parked", "/parked"), ("facilities", "/facilities"))
LIVES, NEW_LOANS, SEED = 60, 4, 1


async def prepare(platform: Stack) -> None:
    """Everything that the pictures show."""
    await demo.play(platform, demo.read_portfolio("", LIVES, SEED), lambda _: None)
    async with demo.driving(platform) as (client, scheduler):
        day = next_monday((await client.get("console", "/v1/ops/status"))["open_date"])
        await open_branch(client, scheduler, platform.profile, day)
        await pay_out(client, scheduler, NEW_LOANS, day, platform.stand_ins["partner"])
        await scheduler.settle()
        await _accident(client, platform.admin_url)


async def _accident(client: Client, admin_url: str) -> None:
    """Application tells of a repayment under a number used before; its readers park it."""
    line = (await client.get("console", "/v1/facilities?stage=performing"))["items"][0]
    facility = f"/v1/facilities/{line['facility_id']}"
    loan = (await client.get("application", facility))["loan_id"]
    await put_back(admin_url, "application", line["facility_id"])
    nothing, some = ({"amount": amount, "currency": line["currency"]} for amount in ("0.00", "500.00"))
    body = {"principal": some, "interest": nothing, "reference": "drill"}
    where = f"{facility}/loans/{loan}/repayments"
    await client.post("application", where, body, actor="core-bank", role="core_bank", org=line["branch"], key="drill")
    while not (await client.get("console", "/v1/ops/status"))["parked"]["parked"]:
        await asyncio.sleep(0.1)


def take(platform: Stack, folder: Path) -> None:
    """The pictures, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser.opened(platform.urls["console"][0]) as page:
        browser.sign_in(page, platform.issuer.token("operator", "operator", level=HEAD_OFFICE))
        for name, path in PAGES:
            page.goto(path)
            page.screenshot(path=folder / f"{name}.png")
        page.goto("/facilities?stage=worked_out")
        page.locator("tbody th a").first.click()
        page.screenshot(path=folder / "story.png")


def main(folder: Path = FOLDER) -> int:
    """The command line of this module."""
    if not browser.CHROMIUM.exists():
        print(f"{browser.CHROMIUM} is not there; on Debian or Ubuntu: apt-get install chromium", file=sys.stderr)
        return 1
    kind = demo.broker_for(replicas=1, loans=LIVES)
    with demo.staying("cn-branch", kind, 1) as platform:
        asyncio.run(prepare(platform))
        take(platform, folder)
    print(f"{len(list(folder.iterdir()))} pictures in {os.path.relpath(folder)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
