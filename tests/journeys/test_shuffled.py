"""The same lives told in order, and told badly: everything twice, topics and partitions interleaved at random.

Whatever the broker does within its promise (the order of one publisher's events of one key), every service ends up
knowing the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo import generator, sba, sba_life
from deploy.demo.lives import Life
from deploy.demo.report import accounts, reconcile
from tests.harness.shuffle import Shuffled
from tests.harness.whole import InOrder, World, tell

TRAPS = Path(__file__).parents[1] / "demo" / "traps.csv"
SEEDS = (11, 4711)
CHINESE = (0, 1, 3, 5, 28, 54, 103, 113)
AMERICAN = ("sba-9900000003", "sba-9900000010", "sba-9900000012", "sba-9900000056")
HAPPENS = {
    "chinese": {
        "application.refused",
        "claim.paid",
        "collateral.revalued",
        "cover.refused",
        "exemption.granted",
        "exemption.refused",
        "investigation.disputed",
        "loan.closed",
        "loan.written_off",
        "pay.clawed_back",
        "pay.vested",
        "recovery.shared",
    },
    "american": {"capacity.reserved", "claim.paid", "cover.bound", "loan.written_off", "recovery.shared"},
}


def lives_of(portfolio: str) -> list[Life]:
    """A few lives, chosen so that everything in HAPPENS does."""
    if portfolio == "chinese":
        whole = list(generator.generate(120, 1))
        return [whole[number] for number in CHINESE]
    records = {row.ref: row for row in sba.read(TRAPS) if isinstance(row, sba.Record)}
    return sorted((sba_life.life(records[ref], 1) for ref in AMERICAN), key=lambda life: life.applied_on)


def differences(told: World, again: World) -> list[str]:
    """Every row that only one of the two worlds knows."""
    return [
        f"{sign} {service}.{table} {row}"
        for service, tables in told.dumps.items()
        for table, rows in tables.items()
        for sign, only in (
            ("-", Counter(rows) - Counter(again.dumps[service][table])),
            ("+", Counter(again.dumps[service][table]) - Counter(rows)),
        )
        for row in only.elements()
    ]


def problems(world: World, lives: list[Life]) -> tuple[str, ...]:
    """What does not reconcile with the input, or was not applied once where it is handled."""
    published = Counter(entry.type for entry in world.journal)
    found = accounts(world.journal, lives[0].amount.currency)
    return reconcile(lives, found, published, world.applied).problems


@pytest.mark.parametrize("portfolio", ["chinese", "american"])
async def test_delivered_twice_and_interleaved_at_random_every_service_knows_the_same(
    portfolio: str, copies: Callable[..., str], tmp_path: Path
) -> None:
    lives = lives_of(portfolio)
    plain = await tell(lives, copies(), tmp_path, InOrder())
    assert not HAPPENS[portfolio] - plain.types
    assert not plain.parked
    assert not problems(plain, lives)
    assert all(any(rows for rows in tables.values()) for tables in plain.dumps.values())
    for seed in SEEDS:
        shuffled = await tell(lives, copies(), tmp_path, Shuffled(seed))
        assert shuffled.delivered_again == shuffled.delivered
        assert not shuffled.parked
        assert not problems(shuffled, lives)
        assert differences(plain, shuffled) == []
