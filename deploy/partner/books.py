"""What a sandbox partner has decided and heard: its answers by reference, each event once however often it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

CENT = Decimal("0.01")


@dataclass(slots=True)
class Books:
    """In memory: a sandbox that ends forgets, and reads its events again. `party` is whose they are."""

    party: str = ""
    willing: dict[str, Decimal] = field(default_factory=dict)
    """What it will guarantee for a facility, where it was told; zero declines."""
    covers: dict[str, dict[str, Any]] = field(default_factory=dict)
    quotes: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    """Covers that it gave itself, and does not only stand behind."""
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By their number, which counts from 1 without gaps."""
    pushed: int = 0
    """Of the events, those that a webhook brought first."""
    copies: int = 0
    unordered: int = 0
    _last: dict[str, int] = field(default_factory=dict)

    def knows(self, event: dict[str, Any]) -> bool:
        """Whether this event was heard before."""
        return event["number"] in self.events

    def hear(self, event: dict[str, Any], *, pushed: bool) -> None:
        """Note an event, or one more copy of it."""
        number, subject = event["number"], event["subject"]
        if number in self.events:
            self.copies += pushed
            return
        self.pushed += pushed
        self.unordered += number < self._last.get(subject, 0)
        self._last[subject] = max(number, self._last.get(subject, 0))
        self.events[number] = event
        if event["type"].startswith("cover.bound."):
            self.own.add(event["body"]["cover_id"])

    @property
    def missing(self) -> list[int]:
        """Numbers below the highest heard that never came."""
        return sorted(set(range(1, max(self.events, default=0))) - self.events.keys())

    def counts(self) -> dict[str, int]:
        """How many events of each type it was told."""
        return dict(Counter(event["type"].rpartition(".")[0] for event in self.events.values()))

    def paid(self) -> Decimal:
        """What it paid on claims under its own covers, by what it was told."""
        return self._sum("claim.paid.", lambda body: body["cover_id"] in self.own)

    def reimbursed(self) -> Decimal:
        """What it gave to those behind whom it stands."""
        return self._sum("reguarantee.reimbursed.", lambda body: body["party"] == self.party)

    def _sum(self, kind: str, counts: Callable[[dict[str, Any]], bool]) -> Decimal:
        told = (event["body"] for event in self.events.values() if event["type"].startswith(kind))
        return sum((Decimal(body["amount"]["amount"]) for body in told if counts(body)), Decimal(0))

    def totals(self) -> dict[str, Any]:
        """For reconciliation: what it answered itself, and what it was told."""
        taken = [cover for cover in self.covers.values() if cover["accepted"]]
        accepted = [claim for claim in self.claims.values() if claim["accepted"]]
        return {
            "covers": len(self.covers),
            "guaranteed": str(sum((Decimal(cover["guaranteed"] or 0) for cover in taken), Decimal(0))),
            "claims": len(self.claims),
            "claimed": str(sum((Decimal(claim["claimed"]) for claim in accepted), Decimal(0))),
            "heard": len(self.events),
            "pushed": self.pushed,
            "copies": self.copies,
            "unordered": self.unordered,
            "missing": self.missing,
            "told": self.counts(),
            "paid": str(self.paid().quantize(CENT)),
            "reimbursed": str(self.reimbursed().quantize(CENT)),
        }
