"""The branch report, drawn from the journal alone, and its reconciliation with the input to the cent.

For every loan written off: what it lost splits exactly into the bank's net loss, the partners' net losses and the
recoveries. Every event type that a service handles was applied there as often as it was published, once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from deploy.demo.journal import Entry
from deploy.demo.lives import Life
from libs.kernel.money import Money, total

BANK = "bank"


@dataclass(slots=True)
class Account:
    """What the journal says of one facility."""

    ref: str
    currency: str
    approved: Money
    guaranteed: Money
    disbursed: Money
    repaid: Money
    written_off: Money
    recovered: Money
    losses: dict[str, Money] = field(default_factory=dict)
    refused: bool = False
    closed: str = ""
    recommendation: str = ""
    events: int = 0

    @property
    def net_losses(self) -> Money:
        """The losses of all parties after recoveries."""
        return total(self.losses.values(), self.currency)


def accounts(entries: Iterable[Entry], currency: str) -> dict[str, Account]:
    """The facilities of the journal by their id."""
    nothing = total((), currency)
    found: dict[str, Account] = {}
    ordered = sorted(entries, key=lambda entry: (entry.type != "referral.received.v1", entry.on))
    for entry in ordered:
        if entry.type == "referral.received.v1":
            ref = entry.body["external_ref"]
            found[entry.key] = Account(ref, currency, nothing, nothing, nothing, nothing, nothing, nothing)
        if entry.key in found:
            found[entry.key].events += 1
            _book(found[entry.key], entry)
    return found


def _book(account: Account, entry: Entry) -> None:
    booking = _BOOKINGS.get(entry.type)
    if booking is not None:
        booking(account, entry)


def _approved(account: Account, entry: Entry) -> None:
    account.approved += entry.money("amount")
    account.recommendation = entry.body["recommendation"]


def _refused(account: Account, _: Entry) -> None:
    account.refused = True


def _bound(account: Account, entry: Entry) -> None:
    account.guaranteed += entry.money("guaranteed")


def _disbursed(account: Account, entry: Entry) -> None:
    account.disbursed += entry.money("amount")


def _repaid(account: Account, entry: Entry) -> None:
    account.repaid += entry.money("principal")


def _written_off(account: Account, entry: Entry) -> None:
    account.written_off += entry.money("gross")
    _lose(account, BANK, entry.money("net"))


def _claim_paid(account: Account, entry: Entry) -> None:
    for party, amount in _partners(entry):
        _lose(account, party, amount)


def _recovered(account: Account, entry: Entry) -> None:
    account.recovered += entry.money("amount")
    _lose(account, BANK, -entry.money("amount"))


def _recovery_shared(account: Account, entry: Entry) -> None:
    for party, amount in _partners(entry):
        _lose(account, party, -amount)
        _lose(account, BANK, amount)


def _closed(account: Account, entry: Entry) -> None:
    account.closed = entry.body["outcome"]


_BOOKINGS: Mapping[str, Callable[[Account, Entry], None]] = {
    "application.approved.v1": _approved,
    "application.refused.v1": _refused,
    "cover.bound.v1": _bound,
    "loan.disbursed.v1": _disbursed,
    "repayment.received.v1": _repaid,
    "loan.written_off.v1": _written_off,
    "claim.paid.v1": _claim_paid,
    "recovery.received.v1": _recovered,
    "recovery.shared.v1": _recovery_shared,
    "loan.closed.v1": _closed,
}


def _partners(entry: Entry) -> list[tuple[str, Money]]:
    """The partners' parts of an event that splits an amount."""
    return [
        (part["party"], Money(Decimal(part["amount"]["amount"]), part["amount"]["currency"]))
        for part in entry.body["parts"]
        if part["party"] != BANK
    ]


def _lose(account: Account, party: str, amount: Money) -> None:
    account.losses[party] = account.losses.get(party, amount.zero) + amount


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that does not reconcile; empty means it all does."""

    problems: tuple[str, ...]


def reconcile(
    lives: Sequence[Life],
    found: Mapping[str, Account],
    published: Mapping[str, int],
    applied: Mapping[str, Mapping[str, int]],
) -> Findings:
    """Compare the journal with the input, loan by loan, and what was published with what was applied.

    `applied` gives, per service, the handled event types with how often each took effect.
    """
    problems: list[str] = []
    by_ref = {account.ref: account for account in found.values()}
    for life in lives:
        account = by_ref.get(life.ref)
        if account is None:
            problems.append(f"{life.ref}: never arrived")
        else:
            problems += [f"{life.ref}: {problem}" for problem in _differences(life, account)]
    problems += [f"{ref}: is not in the input" for ref in by_ref.keys() - {life.ref for life in lives}]
    for service, counts in applied.items():
        for kind, count in counts.items():
            if published.get(kind, 0) != count:
                problems.append(f"{service}: {kind} published {published.get(kind, 0)}, applied {count}")
    return Findings(tuple(problems))


def _differences(life: Life, account: Account) -> list[str]:
    if account.refused:
        return [] if not life.recorded_decision else ["refused, but the record approved it"]
    charged_off = life.default.charged_off if life.default else life.amount.zero
    expected_end = "written_off" if life.default else "repaid"
    pairs = (
        ("approved", life.amount, account.approved),
        ("guaranteed", life.guaranteed, account.guaranteed),
        ("disbursed", life.drawn, account.disbursed),
        ("repaid", life.drawn - charged_off, account.repaid),
        ("charged off", charged_off, account.written_off),
        ("net losses + recoveries", charged_off, account.net_losses + account.recovered),
    )
    problems = [f"{name} {actual}, not {wanted}" for name, wanted, actual in pairs if wanted != actual]
    if account.closed != expected_end:
        problems.append(f"ended {account.closed or 'never'}, not {expected_end}")
    return problems


def render(
    lives: Sequence[Life], found: Mapping[str, Account], published: Mapping[str, int], findings: Findings
) -> str:
    """The report of a portfolio as text, with its reconciliation."""
    lines = branch_report(found, published, lives[0].amount.currency)
    if findings.problems:
        lines += [f"DOES NOT RECONCILE: {len(findings.problems)} differences", *findings.problems[:20]]
    else:
        lines += ["Reconciles with the input to the cent, loan by loan and in total."]
    return "\n".join(lines)


def branch_report(found: Mapping[str, Account], published: Mapping[str, int], currency: str) -> list[str]:
    """The report as lines: what the journal says of the branch, whatever went in."""
    approved = [account for account in found.values() if not account.refused]
    sums = {
        name: total((getattr(account, name) for account in approved), currency)
        for name in ("approved", "guaranteed", "disbursed", "repaid", "written_off", "recovered")
    }
    parties: dict[str, Money] = defaultdict(lambda: total((), currency))
    for account in approved:
        for party, amount in account.losses.items():
            parties[party] += amount
    ends = Counter(account.closed or ("refused" if account.refused else "open") for account in found.values())
    against = sum(account.recommendation == "refuse" for account in approved)
    longest = {
        end: max((a.events for a in found.values() if a.closed == end), default=0) for end in ("repaid", "written_off")
    }
    lines = ["", "Branch report", "=" * 60]
    lines += [f"{'lives':<28}{len(found):>24}"]
    lines += [f"{'  ' + end:<28}{count:>24}" for end, count in sorted(ends.items())]
    lines += [f"{name.replace('_', ' '):<28}{amount.amount:>24,.2f} {currency}" for name, amount in sums.items()]
    lines += [
        f"{'net loss of ' + party:<28}{amount.amount:>24,.2f} {currency}" for party, amount in sorted(parties.items())
    ]
    lines += [f"{'approved against our advice':<28}{against:>24}"]
    lines += [f"{'events':<28}{sum(published.values()):>24,}"]
    lines += [f"{'events of a life, at most':<28}{longest['repaid']:>15} repaid, {longest['written_off']} written off"]
    return [*lines, "-" * 60]
