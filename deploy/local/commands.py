"""The commands of `silverbear` that start a platform or read a running one; each answers with what it tells."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import uvloop
from aiokafka.errors import KafkaConnectionError

from deploy.demo.journal import JournalTorn, read_journal
from deploy.demo.opening import FIRST_DAY, open_branch, pay_out
from deploy.demo.report import accounts, branch_report
from deploy.local import demo, stack
from deploy.local.process import ChildFailed
from libs.events.catalogue import TOPICS
from libs.runtime.cli import NO, UNREACHABLE, USAGE, Told
from libs.runtime.policies import read_profile

LOANS_MAX = 50


def _up(options: argparse.Namespace) -> str:
    if not 0 <= options.loans <= LOANS_MAX:
        raise Told(f"--loans is 0 to {LOANS_MAX}", USAGE)
    if options.loans and options.profile != "cn-branch":
        raise Told("--loans are generated for cn-branch only", USAGE)
    try:
        kind = demo.broker_for(replicas=options.replicas, loans=options.loans)
        with demo.staying(options.profile, kind, options.replicas) as platform:
            paid = uvloop.run(_open(platform, options.loans))
            print(f"The branch is open on {FIRST_DAY[platform.profile]}; paid out: {', '.join(paid) or 'nothing'}")
            demo.show_addresses(platform)
            demo.stay()
    except KeyboardInterrupt:
        return "ended"
    except ChildFailed as failure:
        raise Told(str(failure), NO) from failure
    return "ended"


async def _open(platform: stack.Stack, loans: int) -> list[str]:
    day = FIRST_DAY[platform.profile]
    async with demo.driving(platform) as (client, scheduler):
        await open_branch(client, scheduler, platform.profile, day, platform.sandboxes)
        return await pay_out(client, scheduler, loans, day, platform.stand_ins["partner"])


def _demo(options: argparse.Namespace) -> str:
    try:
        kind = demo.broker_for(replicas=options.replicas, loans=options.limit)
        portfolio = demo.read_portfolio(options.loans, options.limit, options.seed)
        code = demo.show_at_work(portfolio, kind, seed=options.seed, replicas=options.replicas, once=options.once)
    except KeyboardInterrupt:
        return "ended"
    except (ChildFailed, JournalTorn, OSError) as failure:
        raise Told(str(failure), NO) from failure
    if code:
        raise Told("the report does not reconcile with the input", NO)
    return "ended"


def _report(options: argparse.Namespace) -> str:
    known = {**_addresses(options.addresses), **os.environ}
    bootstrap, prefix = known.get("SILVERBEAR_KAFKA", ""), known.get("SILVERBEAR_TOPIC_PREFIX", "")
    if not bootstrap:
        raise Told(f"no platform runs here: {options.addresses} is not there (`silverbear up`)", UNREACHABLE)
    try:
        entries = asyncio.run(read_journal(bootstrap, [prefix + topic for topic in TOPICS]))
    except KafkaConnectionError as error:
        raise Told(f"Kafka at {bootstrap} does not answer", UNREACHABLE) from error
    except JournalTorn as torn:
        raise Told(str(torn), NO) from torn
    currency = read_profile(known["SILVERBEAR_PROFILE"]).currency
    found = accounts(entries, currency)
    return "\n".join(branch_report(found, Counter(entry.type for entry in entries), currency))


def _addresses(path: Path) -> dict[str, str]:
    """What the running platform left in its file; nothing when there is none."""
    if not path.exists():
        return {}
    words = (shlex.split(line) for line in path.read_text(encoding="utf-8").splitlines())
    return dict(word[1].split("=", 1) for word in words)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {"up": _up, "demo": _demo, "report": _report}
