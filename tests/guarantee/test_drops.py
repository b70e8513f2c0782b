"""Lists as files: the same answer as the interface gives, once for each file, whatever else lies in the folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.tray import held
from services.guarantee.api.drops import Drops
from services.guarantee.main import service
from tests.guarantee.partner_client import OTHER_PARTY, OWN_PARTY, Partner
from tests.guarantee.stories import DAY, Story, admit, agree
from tests.guarantee.test_statements import BATCH, rows_as_csv
from tests.harness.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
Benches = Callable[..., Bench]
SWEEP = """
import asyncio
from libs.runtime.settings import read_settings
from services.guarantee.api.drops import Drops
from services.guarantee.main import service

async def main():
    settings = read_settings("drop_folder")
    service.app.state.parts = parts = service.parts(settings)
    await Drops(parts, service.app).sweep(settings.drop_folder)

asyncio.run(main())
"""


@pytest.fixture
def drops(tmp_path: Path) -> Path:
    """The drop folder, with a folder of one partner."""
    (tmp_path / "drops" / OWN_PARTY).mkdir(parents=True)
    return tmp_path / "drops"


def at(bench: Benches, drops: Path, settle: float = 0) -> Bench:
    return bench(service, drop_folder=drops, drop_settle_seconds=settle)


async def sweep(b: Bench) -> int:
    root = b.settings.drop_folder
    assert root is not None
    return await Drops(b.parts, service.app).sweep(root)


def swept_and_killed(env: dict[str, str]) -> int:
    """The exit code of a process of its own that sweeps once."""
    return subprocess.run([sys.executable, "-c", SWEEP], env=env, cwd=ROOT, timeout=60, check=False).returncode


def told(folder: Path, name: str) -> dict[str, Any]:
    """The answer beside a file."""
    found: dict[str, Any] = json.loads((folder / f"{name}.result.json").read_text())
    return found


async def filed(b: Bench, *names: str) -> list[Story]:
    """Drawdowns of a batch agreement, filed with the partner."""
    stories = [Story(name=name, agreement="batch") for name in names]
    await admit(b, BATCH)
    for story in stories:
        await b.react(story.submitted(), story.rated(), story.disbursed(), on=DAY)
        path = f"/v1/facilities/{story.facility_id}/filings"
        assert (await b.post(path, {"loan_id": story.loan_id}, role="customer_manager")).status_code == 200
    return stories


async def test_a_list_as_a_file_gets_the_answer_of_the_interface(bench: Benches, drops: Path) -> None:
    folder = drops / OWN_PARTY
    async with at(bench, drops) as b:
        one, two = await filed(b, "one", "two")
        rows = [["cover.filed", s.loan_id, "", "100000.00", "CNY", DAY.isoformat(), ""] for s in (one, one, two)]
        text = rows_as_csv(rows)
        headers = {**Partner(b, OWN_PARTY)._headers("k", {}), "content-type": "text/csv"}
        path = f"/v1/partners/{OWN_PARTY}/lists/filings/2025-09"
        answer = (await b.http.post(path, content=text, headers=headers)).json()
        (folder / "filings-2025-09.csv").write_text(text)
        (folder / "filings-2025-09~reguarantor.csv").write_text(text)
        rows = [f"{one.facility_id},{one.loan_id},true,", f"{two.facility_id},{two.loan_id},false,late"]
        confirmed = "\n".join(("facility_id,loan_id,accepted,reason", *rows, "nobody,nothing,true,"))
        (folder / "confirmations-0901.csv").write_text(confirmed)
        (folder / "exposures-q3.csv").write_text("as_of,obligor,amount,currency\n2025-08-31,b1,5.00,CNY\n")
        assert await sweep(b) == 4
        taken = told(folder, "filings-2025-09.csv")
        assert taken == {**answer, "handed_in_by": "drop-folder"}
        assert (taken["rows"], taken["compared"][0]["findings"]) == (3, {"doubled": 1})
        assert told(folder, "filings-2025-09~reguarantor.csv")["party"] == "reguarantor"
        codes = [(row["status"], row["code"]) for row in told(folder, "confirmations-0901.csv")["rows"]]
        assert codes == [(200, ""), (200, ""), (404, "no_cover")]
        assert (await b.names())[-2:] == ["cover.confirmed", "cover.removed"]
        assert told(folder, "exposures-q3.csv")["done"] == 1
        assert await sweep(b) == 0
        assert not any(folder.glob("*.csv"))
        assert len(list((folder / "done").iterdir())) == 4
        # The same file under the same name counts once; another content under that name is another file.
        (folder / "confirmations-0901.csv").write_text(confirmed)
        await sweep(b)
        assert told(folder, "confirmations-0901.csv")["done"] == 2
        (folder / "confirmations-0901.csv").write_text(confirmed + "\n")
        await sweep(b)
        assert told(folder, "confirmations-0901.csv")["rows"][0]["code"] == "drawdown_decided"


async def test_what_the_interface_refuses_is_refused_with_its_code(bench: Benches, drops: Path) -> None:
    folder, heading = drops / OWN_PARTY, b"kind,reference,party,amount,currency,day\n"
    for name in ("never-admitted", OTHER_PARTY):
        (drops / name).mkdir()
    async with bench(service, drop_folder=drops, drop_settle_seconds=0, list_bytes_max=1_024) as b:
        (own,) = await filed(b, "own")
        await b.post("/v1/partners", {"partner_id": OTHER_PARTY, "name": "Rural", "kind": "guarantor"}, role="admin")
        await agree(b, {**BATCH, "code": "rural", "partner_id": OTHER_PARTY})
        bad = (b"", b"kind,reference\n", heading + b"x\n", heading + b'"', heading + b"x,y,,1,CNY,2025-09-01", b"\xff")
        headers = {**Partner(b, OWN_PARTY)._headers("k", {}), "content-type": "text/csv"}
        for number, content in enumerate((*bad, heading * 50)):
            (folder / "statement-2025-09.csv").write_bytes(content)
            assert await sweep(b) == 1
            path = f"/v1/partners/{OWN_PARTY}/lists/statement/2025-09"
            said = await b.http.post(path, content=content, headers={**headers, "idempotency-key": str(number)})
            assert told(folder, "statement-2025-09.csv") == said.json(), content
            assert said.status_code in (413, 422)
        for name, content, code in (
            ("statement-2025-13.csv", heading, "invalid_request"),
            ("news.csv", heading, "list_unreadable"),
            ("confirmations-1.csv", b"facility_id,loan_id\n", "list_unreadable"),
            ("confirmations-2.csv", b"\xff", "list_unreadable"),
            ("confirmations-3.csv", b"facility_id,loan_id,accepted\nx,y,perhaps\n", "invalid_request"),
            ("exposures-1.csv", b"as_of,obligor,amount,currency\n", "invalid_request"),
        ):
            (folder / name).write_bytes(content)
            await sweep(b)
            assert told(folder, name)["code"] == code, name
        (drops / "never-admitted" / "filings-2025-09.csv").write_bytes(heading)
        row = f"{own.facility_id},{own.loan_id},true".encode()
        (drops / OTHER_PARTY / "confirmations-1.csv").write_bytes(b"facility_id,loan_id,accepted\n" + row)
        assert await sweep(b) == 2
        assert told(drops / "never-admitted", "filings-2025-09.csv")["code"] == "not_found"
        assert told(drops / OTHER_PARTY, "confirmations-1.csv")["rows"][0]["code"] == "no_cover"


async def test_nothing_outside_is_read_and_nothing_half_is_taken(bench: Benches, drops: Path) -> None:
    folder, name = drops / OWN_PARTY, "filings-2025-09.csv"
    secret = drops.parent / "secret.csv"
    secret.write_text(rows_as_csv([]))
    async with at(bench, drops) as b:
        await admit(b, BATCH)
        (folder / f"{name}.part").write_text("half")
        (folder / f".{name}").write_text("half")
        (folder / name).symlink_to(secret)
        (folder / "filings-2025-08.csv").mkdir()
        os.mkfifo(folder / "filings-2025-07.csv")
        (drops / "linked").symlink_to(folder, target_is_directory=True)
        assert await sweep(b) == 0
        # Into what was taken a link is planted, and where the answer goes, too.
        (folder / "taken" / f"{'0' * 36}.{name}").symlink_to(secret)
        (folder / f"{name}.result.json").symlink_to(secret)
        (folder / f".{name}.result.json").symlink_to(secret)
        assert await sweep(b) == 1
        assert told(folder, name)["code"] == "list_unreadable"
        assert secret.read_bytes() == rows_as_csv([]).encode()
        (folder / name).unlink()
        (folder / "taken").rmdir()
        (folder / "taken").symlink_to(drops.parent, target_is_directory=True)
        (folder / name).write_text(rows_as_csv([]))
        assert await sweep(b) == 0  # its own folder is no use now; the others' would be
        assert sorted(path.name for path in drops.parent.glob("*.csv")) == ["secret.csv"]
        (folder / "taken").unlink()
        with held(drops, OWN_PARTY):
            assert await sweep(b) == 0  # another process is at it
        assert await sweep(b) == 1
    async with at(bench, drops, settle=3_600) as b:
        (folder / name).write_text("half")
        assert await sweep(b) == 0


async def test_what_was_done_before_the_process_was_killed_is_told_and_not_done_again(
    bench: Benches, drops: Path
) -> None:
    folder, name = drops / OWN_PARTY, "confirmations-1.csv"
    async with at(bench, drops) as b:
        (story,) = await filed(b, "one")
        (folder / name).write_text(f"facility_id,loan_id,accepted\n{story.facility_id},{story.loan_id},true\n")
        env = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": b.settings.database_url,
            "KAFKA_BOOTSTRAP": b.settings.kafka_bootstrap,
            "JWKS_PATH": str(b.settings.jwks_path),
            "KEYRING_PATH": str(b.settings.keyring_path),
            "DROP_FOLDER": str(drops),
            "DROP_SETTLE_SECONDS": "0",
            "FAULT": "drops.before_result",
        }
        killed = await asyncio.to_thread(swept_and_killed, env)
        assert killed == -signal.SIGKILL
        assert (await b.names())[-1] == "cover.confirmed"
        assert not (folder / name).exists()
        assert not (folder / f"{name}.result.json").exists()
        before = len(await b.names())
        await b.open(DAY + timedelta(days=1))
        assert await sweep(b) == 1
        assert told(folder, name) == {
            "done": 1,
            "failed": 0,
            "rows": [{"row": 0, "status": 200, "code": "", "detail": ""}],
        }
        assert len(await b.names()) == before


async def test_a_file_waits_while_the_service_cannot_take_it(bench: Benches, drops: Path) -> None:
    folder, name = drops / OWN_PARTY, "filings-2025-09.csv"
    async with at(bench, drops) as b:
        await admit(b, BATCH)
        (folder / name).write_text(rows_as_csv([]))
        b.parts.draining = True
        assert await sweep(b) == 0
        assert not (folder / f"{name}.result.json").exists()
        b.parts.draining = False
        assert await sweep(b) == 1
        assert told(folder, name)["rows"] == 0
