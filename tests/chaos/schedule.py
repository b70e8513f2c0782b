"""Plays a seeded schedule of faults on a platform while lives run through it, and times each recovery."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from deploy.local.process import ChildFailed
from tests.chaos.faults import FAULTS, ORDERED, Conductor, NotReached
from tests.chaos.watch import Watch

PAUSE_SECONDS = (0.2, 1.0)
ORDERS_LAST = 0.55


@dataclass(frozen=True, slots=True)
class Struck:
    """One fault as it happened; `lasted` until its cause was gone, `recovered` both in seconds from its strike."""

    fault: str
    lasted: float
    recovered: float | None


@dataclass(slots=True)
class Pace:
    """Keeps work and faults side by side: `work` is what there is to do in all (0: not known), `wanted` the faults."""

    wanted: int
    work: int = 0
    played: int = 0

    def is_ahead(self, done: int) -> bool:
        """Whether of the work a larger part is `done` than of the faults has been played."""
        return bool(self.work) and done * self.wanted > (self.played + 1) * self.work


def drawn(names: Sequence[str], each: int, seed: int) -> list[str]:
    """The order in which faults come: every one `each` times, spread so that none waits for the end.

    Those that need an order to a partner come `each` times within `ORDERS_LAST` of the whole: after that the lives,
    which begin and draw at about the same time, hardly give one.
    """
    random = Random(seed)
    placed: list[tuple[float, str]] = []
    for ordered, last in ((True, ORDERS_LAST), (False, 1.0)):
        group = [name for name in names if (name in ORDERED) is ordered]
        rounds = [name for _ in range(each) for name in random.sample(group, len(group))]
        placed += [(last * number / len(rounds), name) for number, name in enumerate(rounds)]
    return [name for _, name in sorted(placed)]


async def play(
    conductor: Conductor,
    watch: Watch,
    order: Sequence[str],
    *,
    going: Callable[[], bool],
    say: Callable[[str], None],
    pace: Pace,
) -> list[Struck]:
    """One fault after another while `going()`; a fault that could not strike is tried once more at the end."""
    waiting, again, done = list(order), [], []
    turns: Counter[str] = Counter()
    while (waiting or again) and going():
        name = waiting.pop(0) if waiting else again.pop(0)
        await asyncio.sleep(conductor.random.uniform(*PAUSE_SECONDS))
        try:
            struck = await FAULTS[name](conductor, turns[name])
        except NotReached as missed:
            say(f"{name}: {missed}")
            if waiting:
                again.append(name)
            continue
        except ChildFailed as failure:
            say(f"{name}: {failure}")
            done.append(Struck(name, 0.0, None))
            continue
        turns[name] += 1
        lasted = time.monotonic() - struck
        recovered = await watch.recovered(struck)
        done.append(Struck(name, lasted, recovered))
        pace.played = len(done)
        told = "NOT RECOVERED" if recovered is None else f"recovered after {recovered:.1f} s"
        say(f"{len(done)}/{len(order)} {name}: {told}")
    pace.played = pace.wanted  # whatever could not strike: nobody waits for it any more
    return done
