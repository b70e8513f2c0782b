"""The main job: many lives in simulated business time; nothing waits, a day opens when the one before is over.

Days on which nothing is due are skipped: the next day is the earliest timer of any service or step of any life.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from deploy.demo.branch import Branch
from deploy.demo.client import Client
from deploy.demo.journey import Journey, Step
from deploy.demo.lives import IndexMove, Life
from libs.runtime.scheduler import Scheduler

REIMBURSE_SECONDS_MAX = 20.0
PHASES = ("life", "apply", "decide", "draw", "premium")
"""Within a day, in this order; the platform comes to rest between two of them."""


@dataclass(slots=True)
class Progress:
    """How far the job is, for whoever watches."""

    lives: int
    done: int = 0
    days: int = 0
    day: date = date.min


class Replay:
    """Drives the lives through the platform to their ends."""

    def __init__(
        self,
        lives: Sequence[Life],
        moves: Iterable[IndexMove],
        branch: Branch,
        client: Client,
        scheduler: Scheduler,
        partner_url: str,
        show: Callable[[Progress], None],
    ) -> None:
        self.journeys = [Journey(life, number, branch, client, partner_url) for number, life in enumerate(lives)]
        self._branch, self._client, self._scheduler, self._show = branch, client, scheduler, show
        self._agenda: dict[date, dict[str, list[Step]]] = defaultdict(lambda: defaultdict(list))
        self._open: dict[int, int] = {}
        self.progress = Progress(len(lives))
        for journey in self.journeys:
            self._put(journey.life.applied_on, "apply", journey.apply)
            self._put(journey.life.applied_on, "decide", self._deciding(journey))
        for move in moves:
            self._put(move.on, "life", self._moving(move))

    async def run(self) -> None:
        """Everything, from the day before the first application until no timer is left."""
        first = min(self._agenda)
        await self._scheduler.open_day(first)
        await self._scheduler.quiet()
        await self._branch.open(self._client)
        day: date | None = first
        while day is not None:
            self.progress.days, self.progress.day = self.progress.days + 1, day
            if day != first:
                await self._scheduler.open_day(day)
                await self._scheduler.quiet()
            await self._play(day)
            await self._reimbursed()
            self._show(self.progress)
            day = await self._next(day)
        await self._scheduler.settle()

    async def _reimbursed(self) -> None:
        """Those behind a guarantor pay by themselves when they are told; while they do, no day passes."""
        deadline = time.monotonic() + REIMBURSE_SECONDS_MAX  # then their day may pass, and that is told as overdue
        while self._branch.ways and await self._scheduler.waits("guarantee", "leg.due"):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
            await self._scheduler.quiet()

    async def _next(self, day: date) -> date | None:
        """The next day on which anything is due; a timer in the past fires with the next day."""
        due = await self._scheduler.next_due()
        later = [*self._agenda, *([max(due, date.fromordinal(day.toordinal() + 1))] if due else [])]
        return min(later, default=None)

    async def _play(self, day: date) -> None:
        steps = self._agenda.get(day, {})
        for phase in PHASES:
            if steps.get(phase):
                await asyncio.gather(*(step() for step in steps[phase]))
                await self._scheduler.quiet()
        self._agenda.pop(day, None)

    def _put(self, day: date, phase: str, step: Step) -> None:
        self._agenda[day][phase].append(step)

    def _deciding(self, journey: Journey) -> Step:
        async def decide() -> None:
            await journey.decide()
            if journey.refused:
                self.progress.done += 1
                return
            drawn_on = max(journey.life.disbursed_on, self.progress.day)
            self._put(drawn_on, "draw", journey.draw)
            if journey.life.agreement:
                self._put(drawn_on, "premium", journey.pay_premium)
            plan = journey.plan()
            self._open[journey.number] = len(plan)
            for day, phase, step in plan:
                self._put(day, phase, self._counting(journey, step))

        return decide

    def _counting(self, journey: Journey, step: Step) -> Step:
        async def count() -> None:
            await step()
            self._open[journey.number] -= 1
            if not self._open[journey.number]:
                self.progress.done += 1

        return count

    def _moving(self, move: IndexMove) -> Step:
        async def publish() -> None:
            await self._client.post(
                "collateral",
                "/v1/indices",
                {"series": move.series, "on": move.on.isoformat(), "value": str(move.value)},
                actor="index-feed",
                role="data_provider",
                org="branch",
                key=f"index:{move.series}:{move.on}",
            )

        return publish


def progress_bar(started: float) -> Callable[[Progress], None]:
    """A progress bar on a terminal, a line now and then elsewhere."""
    last = [0.0]

    def show(progress: Progress) -> None:
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if now - last[0] < (0.2 if terminal else 5) and progress.done < progress.lives:
            return
        last[0] = now
        filled = 30 * progress.done // max(1, progress.lives)
        text = (
            f"[{'#' * filled}{'.' * (30 - filled)}] {progress.done}/{progress.lives} lives ended, "
            f"business date {progress.day}, {now - started:.0f} s"
        )
        print(f"\r{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)

    return show
