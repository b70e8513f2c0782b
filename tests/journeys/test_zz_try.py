import os
import time
from collections import Counter
from pathlib import Path

from deploy.demo import generator, sample, sba, sba_life
from tests.harness.whole import InOrder, tell


async def test_x(database, tmp_path):
    if os.environ.get("SBA"):
        drawn = sample.stratified(sba.read(Path("../shared/data/sba_loans.csv.gz")), int(os.environ["SBA"]), 1)
        lives = [sba_life.life(r, 1) for r in drawn.records]
    else:
        lives = list(generator.generate(120, 1))
        sel = os.environ.get("SEL")
        if sel:
            lives = [lives[int(i)] for i in sel.split(",")]
    t = time.monotonic()
    w = await tell(lives, database, tmp_path, InOrder())
    print("took", time.monotonic() - t, "days", w.days, "events", len(w.journal))
    refs = {e.key: e.body["external_ref"] for e in w.journal if e.type == "referral.received.v1"}
    per = {}
    for e in w.journal:
        if e.key in refs:
            per.setdefault(refs[e.key], []).append(e.type[:-3])
    for end in ("written_off", "repaid"):
        ones = {
            r: v
            for r, v in per.items()
            if any(e.type == "loan.closed.v1" and refs[e.key] == r and e.body["outcome"] == end for e in w.journal)
        }
        if ones:
            r = max(ones, key=lambda r: len(ones[r]))
            print(end, r, len(ones[r]), sorted(Counter(ones[r]).items()))
            print(Counter(len(v) for v in ones.values()))
    print("refused", [r for r, v in per.items() if "application.refused" in v])
    print("disputed inv", [r for r, v in per.items() if "investigation.disputed" in v])
    print("shortfall", [r for r, v in per.items() if "shortfall.found" in v])
    print("coverrefused", [r for r, v in per.items() if "cover.refused" in v])
    print("parked", w.parked)
