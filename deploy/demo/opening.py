"""Opens a branch on a running platform and pays out a few generated loans, so that there is something to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

from deploy.demo import generator
from deploy.demo.branch import Branch
from deploy.demo.client import Client
from deploy.demo.journey import Journey
from deploy.demo.lives import Life
from libs.kernel.errors import Invalid
from libs.runtime.scheduler import Scheduler

FIRST_DAY = {"cn-branch": date(2025, 9, 1), "us-sba": date(2025, 9, 2)}
"""A business day of each profile's calendar on which its policies are in force."""
SEEDS_MAX = 500


def next_monday(open_date: str) -> date:
    """The first Monday after an open business date: the day on which generated borrowers apply."""
    after = date.fromisoformat(open_date) + timedelta(days=1)
    return after + timedelta(days=-after.weekday() % 7)


async def open_branch(
    client: Client, scheduler: Scheduler, profile: str, day: date, ways: Mapping[str, str] | None = None
) -> None:
    """Open the business day, then register the staff, the partners and the agreements of the branch."""
    await scheduler.open_day(day)
    await scheduler.quiet()
    await Branch(profile, day, ways).open(client)


async def pay_out(client: Client, scheduler: Scheduler, loans: int, day: date, partner_url: str) -> list[str]:
    """Take generated borrowers from referral to a paid-out loan on the open `day`; returns the loans' references.

    Who is refused on the way stays refused, and the next one comes; fewer are paid out when nobody is left.
    """
    branch, paid = Branch(generator.PROFILE, day), list[str]()
    for number, life in enumerate(_borrowers(day)):
        if len(paid) == loans:
            break
        journey = Journey(life, number, branch, client, partner_url)
        if await _paid_out(journey, scheduler):
            paid.append(life.ref)
    return paid


def _borrowers(day: date) -> Iterator[Life]:
    """Lives with a partner's cover, one per seed, all applying on `day`, with a reference of their own."""
    for seed in range(1, SEEDS_MAX):
        try:
            [life] = generator.generate(1, seed, start=day)
        except Invalid:
            continue  # this one would outlive the window of business dates
        if life.agreement:
            yield replace(life, ref=f"up-{day:%Y%m%d}-{seed:02}")


async def _paid_out(journey: Journey, scheduler: Scheduler) -> bool:
    for step in (journey.apply, journey.decide):
        await _done(step(), scheduler)
    if not journey.refused:
        await _done(journey.draw(), scheduler)
    return not journey.refused


async def _done(step: Awaitable[None], scheduler: Scheduler) -> None:
    await step
    await scheduler.quiet()
