"""What sandbox partners know after a run, held against the journal: told of everything, by webhook, in order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import httpx

from deploy.demo.journal import Entry
from libs.events.catalogue import kinds
from libs.runtime.outward import Direct

ARRIVE_SECONDS_MAX = 20.0
"""For the last webhooks; what has not come then is a finding."""


async def partners_say(sandboxes: Mapping[str, str], entries: Iterable[Entry]) -> tuple[list[str], list[str]]:
    """Lines for the report, and what does not reconcile."""
    if not sandboxes:
        return [], []
    expected, paid, reimbursed = _expected(entries)
    lines, amiss = ["", "Partners' own books, told by webhook"], list[str]()
    async with httpx.AsyncClient(trust_env=False, timeout=30, transport=Direct()) as http:
        for partner, url in sandboxes.items():
            books = await _books(http, url, expected[partner].total())
            told = f"{books['heard']} events, {books['pushed']} by webhook, {books['copies']} copies"
            paying = f"claims paid {Decimal(books['paid']):,.2f}, reimbursed {Decimal(books['reimbursed']):,.2f}"
            lines.append(f"  {partner:<14} {told}, {paying}")
            if books["told"] != dict(expected[partner]):
                amiss.append(f"{partner} was told {books['told']}, the journal has {dict(expected[partner])}")
            if books["missing"] or books["unordered"] or books["pushed"] < books["heard"]:
                amiss.append(f"{partner}: missing {books['missing']}, {books['unordered']} out of order, {told}")
            if Decimal(books["paid"]) != paid[partner]:
                amiss.append(f"{partner} paid {books['paid']} by its own books, {paid[partner]} by the journal")
            if Decimal(books["reimbursed"]) != reimbursed[partner]:
                by_journal = f"{reimbursed[partner]} by the journal"
                amiss.append(f"{partner} reimbursed {books['reimbursed']} by its own books, {by_journal}")
    return lines, amiss


async def _books(http: httpx.AsyncClient, url: str, events: int) -> dict[str, Any]:
    """A partner's books once the last webhook has come, and then with what none brought."""
    deadline = time.monotonic() + ARRIVE_SECONDS_MAX
    while time.monotonic() < deadline:
        if (await http.get(f"{url}/totals")).json()["heard"] >= events:
            break
        await asyncio.sleep(0.1)
    books: dict[str, Any] = (await http.get(f"{url}/totals", params={"read": "true"})).json()
    return books


Sums = defaultdict[str, Decimal]


def _expected(entries: Iterable[Entry]) -> tuple[defaultdict[str, Counter[str]], Sums, Sums]:
    """By partner: the events about its covers, its parts and itself, what it paid, and what it reimbursed."""
    owner: dict[str, str] = {}
    expected: defaultdict[str, Counter[str]] = defaultdict(Counter)
    paid, reimbursed = Sums(Decimal), Sums(Decimal)
    told = {kind.type for kind in kinds() if kind.topic == "guarantee"}
    ours = [entry for entry in entries if entry.type in told]
    for entry in ours:
        if "cover_id" in entry.body and "partner" in entry.body:
            owner[entry.body["cover_id"]] = entry.body["partner"]
    for entry in ours:
        partner = entry.body.get("partner") or owner.get(entry.body.get("cover_id", ""), "")
        name = entry.type.rpartition(".")[0]
        if name == "claim.refused":
            continue
        for each in {partner, *_behind(name, entry)} - {""}:
            expected[each][name] += 1
        if name == "claim.paid":
            paid[partner] += Decimal(entry.body["amount"]["amount"])
        if name == "reguarantee.reimbursed":
            reimbursed[entry.body["party"]] += Decimal(entry.body["amount"]["amount"])
    return expected, paid, reimbursed


def _behind(name: str, entry: Entry) -> set[str]:
    """Who else is told: those who bear a part of it, or owe it."""
    if name in ("claim.paid", "recovery.shared"):
        return {part["party"] for part in entry.body["parts"]}
    return {entry.body["party"]} if name.startswith("reguarantee.") else set()
