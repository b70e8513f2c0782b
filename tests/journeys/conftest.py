"""One run of the whole platform per profile, on real servers and with real processes, looked at by many tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import sample, sba, sba_life
from deploy.demo.lives import Life
from deploy.local import demo
from deploy.local.stack import SERVICES
from tests.harness.platform import AtWork, Rebuilt, Run, pay_out, play, playing, rebuild, wait
from tests.harness.private import Searched, search

HERE = Path(__file__).parent
TRAPS = HERE.parent / "demo" / "traps.csv"
PUBLIC = HERE.parents[2] / "shared" / "data" / "sba_loans.csv.gz"
PUBLIC_ROWS = 300
SEED = 1
NEW_LOANS = 2
SPANS = "spans.log"


@pytest.fixture(scope="module")
def american(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every row of the file of traps and, where the public file lies beside the clone, a stratified sample of it."""
    rows = list(sba.read(TRAPS))
    records = [row for row in rows if isinstance(row, sba.Record)]
    drawn = sample.stratified(sba.read(PUBLIC), PUBLIC_ROWS, SEED) if PUBLIC.exists() else None
    lives = [sba_life.life(record, SEED) for record in (*records, *(drawn.records if drawn else ()))]
    lives.sort(key=lambda life: life.applied_on)
    told = f"{len(lives)} American loans"
    with playing("us-sba", tmp_path_factory.mktemp("american")) as platform:
        return play(platform, demo.Portfolio(tuple(lives), "us-sba", told, {}))


def fates(run: Run) -> dict[str, Life]:
    """The first life of each end: refused, repaid, written off."""
    found: dict[str, Life] = {}
    for life in run.lives:
        names = {entry.type: entry for entry in run.stories[life.ref]}
        closed = names.get("loan.closed.v1")
        found.setdefault("refused" if closed is None else closed.body["outcome"], life)
    return found


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """What `make demo` shows without any variable, and new loans; two readers made anew; all of it searched."""
    portfolio = demo.read_portfolio("", demo.LIMIT_DEFAULT, SEED)
    home = tmp_path_factory.mktemp("chinese")
    spans = {f"{service}-1": {"TRACE_FILE": str(home / "logs" / SPANS)} for service in SERVICES}
    with playing("cn-branch", home, extra=spans) as platform:
        run = play(platform, portfolio)
        pay_out(platform, NEW_LOANS)
        again = {name: rebuild(platform, name) for name in ("incentive", "console")}
        facilities = {ref: story[0].key for ref, story in run.stories.items()}
        searched = wait(search(platform, fates(run), facilities, run.outcome.report))
        yield AtWork(platform, run, again, searched)


@pytest.fixture(scope="module")
def chinese(at_work: AtWork) -> Run:
    """The generated branch."""
    return at_work.run


@pytest.fixture(scope="module")
def rebuilt(at_work: AtWork) -> dict[str, Rebuilt]:
    """What incentive and the console knew, and know after they were made anew."""
    return at_work.rebuilt


@pytest.fixture(scope="module")
def searched(at_work: AtWork) -> Searched:
    """Where the borrowers' personal data was found after the run."""
    return at_work.searched
