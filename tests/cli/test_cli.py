"""The command line: what it prints, where it complains, and its exit codes; events against a real service over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import uvicorn

from libs.events.application import LoanReclassified
from libs.kernel.money import Money
from libs.runtime import cli, policies
from libs.runtime.auth import Caller, Issuer, TokenDoor
from libs.runtime.cli import DONE, NO, UNREACHABLE, USAGE, main
from libs.runtime.settings import Settings
from services.guarantee.main import service as guarantee
from services.incentive.main import service
from tests.harness.bench import Bench

DAY = date(2026, 1, 5)
Say = pytest.CaptureFixture[str]


def reclassified(*, npl: bool) -> LoanReclassified:
    """A class change of a loan that incentive never heard of: `npl` makes its handler refuse it."""
    return LoanReclassified(
        facility_id="f1",
        loan_id="l1",
        before="special_mention",
        after="substandard" if npl else "normal",
        days_past_due=91,
        outstanding=Money(Decimal(10), "CNY"),
        npl=npl,
    )


@asynccontextmanager
async def served(bench: Bench) -> AsyncIterator[str]:
    """The bench's service on a real port; its lifespan is the bench's own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(bench.service.app, lifespan="off", log_level="critical", ws="none")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


async def run(*arguments: str) -> int:
    """The command in a thread, as it would run in a process of its own beside the service."""
    return await asyncio.to_thread(main, arguments)


async def test_an_operator_looks_at_a_parked_key_discards_the_culprit_and_redrives_the_rest(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    async with bench(service) as incentive, served(incentive) as url:
        monkeypatch.setenv(cli.TOKEN_VARIABLE, incentive.issuer.token("ops", "operator"))
        assert await run("events", "parked", "--url", url) == DONE
        assert capsys.readouterr().out == "nothing is parked\n"

        await incentive.open(DAY)
        await incentive.react(reclassified(npl=True), on=DAY)
        await incentive.react(reclassified(npl=False), on=DAY)
        capsys.readouterr()  # the service's own log
        assert await run("events", "parked", "--url", url) == DONE
        told = capsys.readouterr().out
        assert told.startswith("f1\n    parked: loan.reclassified.v1 ")
        assert "\n    1 behind it, since " in told
        assert "loan_unknown" in told

        assert await run("events", "show", "f1", "--url", url) == DONE
        culprit, waiting = json.loads(capsys.readouterr().out)
        assert (culprit["status"], waiting["status"]) == ("parked", "waiting")
        assert culprit["payload"]["loan_id"] == "l1"
        assert culprit["headers"]["ce_type"] == "loan.reclassified.v1"

        assert await run("events", "redrive", "f1", "--url", url) == NO
        assert "silverbear: loan_unknown: no loan l1" in capsys.readouterr().err

        discard = ("events", "discard", culprit["event_id"], "--url", url)
        assert await run(*discard, "--reason", "x") == NO
        assert "invalid_request" in capsys.readouterr().err
        assert await run(*discard, "--reason", "the loan was of another bank") == DONE
        assert capsys.readouterr().out.endswith(f"discarded {culprit['event_id']}\n")  # after the service's own log
        assert await run(*discard, "--reason", "once more") == NO
        assert "not_parked" in capsys.readouterr().err

        assert await run("events", "redrive", "f1", "--url", url) == DONE
        assert capsys.readouterr().out == "applied 1\n"
        assert await run("events", "show", "f1", "--url", url) == NO
        assert "nothing is parked under f1" in capsys.readouterr().err


async def test_an_operator_looks_at_failed_calls_takes_one_up_again_and_settles_another(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    async with bench(guarantee) as bank, served(bank) as url:
        monkeypatch.setenv(cli.TOKEN_VARIABLE, bank.issuer.token("ops", "operator"))
        assert await run("calls", "failed", "--url", url) == DONE
        assert capsys.readouterr().out == "no call stands as failed\n"
        async with bank.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "INSERT INTO calls (id, key, kind, reference, request, business_date, status, attempts, error)"
                " SELECT n, 'f1', 'partner.cover', 'r' || n, '{}', '2026-01-05', 'failed', 2, 'claim_paid'"
                " FROM unnest(ARRAY['a', 'b']) AS n"
            )
        assert await run("calls", "failed", "--url", url) == DONE
        told = capsys.readouterr().out
        assert "a\n    partner.cover ra of f1, 2026-01-05\n    2 tries, since 2" in told
        assert "claim_paid" in told
        assert await run("calls", "retry", "a", "--url", url, "--reason", "x") == NO
        assert "invalid_request" in capsys.readouterr().err
        assert await run("calls", "retry", "a", "--url", url, "--reason", "the partner has mended it") == DONE
        assert capsys.readouterr().out.endswith("retried a\n")  # after the service's own log
        assert await run("calls", "settle", "b", "--url", url, "--reason", "paid by hand") == DONE
        assert capsys.readouterr().out.endswith("settled b\n")
        assert await run("calls", "settle", "b", "--url", url, "--reason", "once more") == NO
        assert "no_failed_call" in capsys.readouterr().err


async def test_a_service_lets_nobody_but_an_operator_in(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.delenv(cli.TOKEN_VARIABLE, raising=False)
    async with bench(service) as incentive, served(incentive) as url:
        reviewer = incentive.issuer.token("rita", "reviewer")
        assert await run("events", "parked", "--url", url, "--token", reviewer) == NO
        assert "role_needed" in capsys.readouterr().err
        assert await run("events", "parked", "--url", url, "--token", "forged") == NO
        assert "unauthenticated" in capsys.readouterr().err
        assert await run("events", "parked", "--url", url) == USAGE
        assert cli.TOKEN_VARIABLE in capsys.readouterr().err


def test_a_silent_service_is_told_apart_from_one_that_says_no(capsys: Say) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    assert main(["events", "parked", "--url", f"http://127.0.0.1:{free}", "--token", "t"]) == UNREACHABLE
    assert "does not answer" in capsys.readouterr().err
    assert main(["events", "parked", "--url", "nonsense", "--token", "t"]) == UNREACHABLE


async def test_a_token_of_the_folder_opens_the_door_for_its_roles(tmp_path: Path, capsys: Say) -> None:
    issuer = Issuer(tmp_path)
    line = [
        "token",
        "--role",
        "operator",
        "--role",
        "admin",
        "--actor",
        "ops",
        *("--branch", "b1", "--level", "branch", "--party", "p1"),
        "--folder",
        str(tmp_path),
    ]
    assert main(line) == DONE
    token = capsys.readouterr().out.strip()
    settings = Settings(
        database_url="postgresql://nobody@nowhere/none", kafka_bootstrap="none:1", jwks_path=issuer.jwks_path
    )
    caller = await TokenDoor(settings).caller(f"Bearer {token}")
    assert caller == Caller("ops", frozenset({"operator", "admin"}), "b1", "branch", "p1")


def test_a_token_is_never_signed_by_an_issuer_that_nobody_knows(tmp_path: Path, capsys: Say) -> None:
    assert main(["token", "--role", "operator", "--actor", "ops", "--folder", str(tmp_path)]) == NO
    assert "there is no issuer in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_show_lists_the_versions_and_picks_the_one_in_force(capsys: Say) -> None:
    assert main(["policy", "show", "rating/scorecard"]) == DONE
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("rating/scorecard@2025-07-01  ")
    assert main(["policy", "show", "rating/scorecard", "--on", "2025-07-01"]) == DONE
    assert capsys.readouterr().out.startswith("rating/scorecard@2025-07-01\nreason: ")
    assert main(["policy", "show", "rating/scorecard", "--on", "2025-06-30"]) == NO
    assert "no version in force on 2025-06-30" in capsys.readouterr().err
    assert main(["policy", "show", "rating/scorecard", "--profile", "us-sba", "--on", "1990-01-01"]) == DONE
    assert capsys.readouterr().out.startswith("rating/scorecard-us-sba@1970-01-01\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["policy", "show", "rating/nothing"], "has no policy rating/nothing"),
        (["policy", "show", "rating/size", "--profile", "mars"], "there is no profile mars"),
        (["policy", "diff", "rating/size@1999-01-01", "rating/size@2011-06-18"], "no version of 1999-01-01"),
        (["policy", "diff", "rating/nothing@1999-01-01", "rating/size@2011-06-18"], "rating/nothing has no version"),
    ],
)
def test_what_does_not_exist_is_named(arguments: list[str], told: str, capsys: Say) -> None:
    assert main(arguments) == NO
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["", "events", "events redrive --url http://x", "policy show a/b --on yesterday", "token --role r"]
)
def test_an_incomplete_line_is_explained(line: str, capsys: Say) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == USAGE
    assert "usage: silverbear" in capsys.readouterr().err


VERSION = """
reason = "r"
approved_by = "a"
level = "l"
source = "s"
[terms]
rate = {rate}
steps = [{{ at = 1, points = {points} }}]
"""


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one profile and one policy of two versions, which the command reads instead of the real one."""
    folder = tmp_path / "services" / "toy" / "policies" / "fee"
    folder.mkdir(parents=True)
    (folder / "2025-01-01.toml").write_text(VERSION.format(rate="0.10", points=3), "utf-8")
    (folder / "2026-01-01.toml").write_text(VERSION.format(rate="0.10", points=4), "utf-8")
    (tmp_path / "profiles").mkdir()
    days = 'currency = "CNY"\n[calendar]\nname = "c"\nfirst = 2025-01-01\nlast = 2026-01-01\n[policies]\n'
    (tmp_path / "profiles" / "cn-branch.toml").write_text(days + '"toy/fee" = "toy/fee"\n', "utf-8")
    monkeypatch.setattr(policies, "ROOT", tmp_path)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    return folder


@pytest.mark.usefixtures("books")
def test_diff_names_only_the_terms_that_differ(capsys: Say) -> None:
    assert main(["policy", "diff", "toy/fee@2025-01-01", "toy/fee@2026-01-01"]) == NO
    shown = capsys.readouterr()
    assert shown.out == "steps[0].points: 3 -> 4\n"
    assert "1 terms differ" in shown.err
    assert main(["policy", "diff", "toy/fee@2025-01-01", "toy/fee@2025-01-01"]) == DONE
    assert capsys.readouterr().out == "the terms are the same\n"
    assert main(["policy", "diff", "fee", "toy/fee@2025-01-01"]) == USAGE


def test_the_real_policies_of_all_profiles_are_valid(capsys: Say) -> None:
    assert main(["policy", "validate"]) == DONE
    assert "of 2 profiles are readable, titled and dated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "2026-01-01.toml").write_text("reason = ", "utf-8"), "toy/fee is unreadable"),
        (lambda folder: (folder / "2026-01-01.toml").rename(folder / "newest.toml"), "toy/fee is unreadable"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "toy/fee has no version"),
        (
            lambda folder: (folder / "2026-01-01.toml").write_text(
                VERSION.format(rate=1, points=1).replace('"s"', '" "'), "utf-8"
            ),
            "toy/fee@2026-01-01 has no source",
        ),
    ],
)
def test_a_spoiled_policy_is_found(books: Path, spoil: Callable[[Path], object], told: str, capsys: Say) -> None:
    assert main(["policy", "validate"]) == DONE
    spoil(books)
    assert main(["policy", "validate"]) == NO
    assert told in capsys.readouterr().err
