"""Notice of loss, query and answer, appeal, payment in advance, and the days of both sides."""

from __future__ import annotations

from datetime import timedelta

from libs.events.guarantee import DeadlineMissed
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.claims import cancel_clocks, give_up, known_claim, set_turn
from services.guarantee.commands.covers import known_cover, known_loan, loan_of, terms_of
from services.guarantee.commands.staged import wait_for_rest
from services.guarantee.domain import claim_life as rules
from services.guarantee.domain import loan as drawn
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.claim_rules import Evidence
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.terms import ClaimRules
from services.guarantee.store import CLAIMS, LOANS


async def notify_loss(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan:
    """The bank gives the partner notice of arrears, once."""
    notified, event = drawn.notify_loss(await known_loan(tx, facility_id, loan_id), tx.date)
    tx.put(LOANS, notified)
    tx.publish(event)
    return notified


async def query_claim(tx: Tx, facility_id: str, claim_id: str, asked: tuple[str, ...]) -> Claim:
    """The partner asks for something before it decides."""
    claim, terms = await _claim_and_terms(tx, facility_id, claim_id)
    queried, event = rules.query_claim(claim, asked, tx.date, terms)
    return _take_turn_over(tx, queried, event)


async def answer_query(tx: Tx, facility_id: str, claim_id: str, evidence: tuple[Evidence, ...]) -> Claim:
    """The bank answers what the partner asked."""
    claim, terms = await _claim_and_terms(tx, facility_id, claim_id)
    answered, event = rules.answer_query(claim, evidence, tx.date, terms)
    return _take_turn_over(tx, answered, event)


async def appeal_claim(
    tx: Tx, facility_id: str, claim_id: str, grounds: tuple[str, ...], evidence: tuple[Evidence, ...]
) -> Claim:
    """The bank appeals against the denial of a claim."""
    claim, terms = await _claim_and_terms(tx, facility_id, claim_id)
    appealed, event = rules.appeal_claim(claim, grounds, evidence, tx.date, terms)
    return _take_turn_over(tx, appealed, event)


async def pay_interim(tx: Tx, facility_id: str, claim_id: str, amount: Money, receipt: str) -> Claim:
    """The partner paid a part in advance."""
    paid, event = rules.pay_interim(await known_claim(tx, facility_id, claim_id), amount, receipt)
    tx.put(CLAIMS, paid)
    tx.publish(event)
    await wait_for_rest(tx, paid, await terms_of(tx, await known_cover(tx, facility_id)))
    return await known_claim(tx, facility_id, claim_id)


async def end_turn(tx: Tx, claim_id: str, facility_id: str) -> None:
    """Whose turn it was has let its days pass."""
    claim, terms = await _claim_and_terms(tx, facility_id, claim_id)
    after, event = rules.end_turn(claim, await known_cover(tx, facility_id), tx.date, terms)
    tx.put(CLAIMS, after)
    if event is not None:
        tx.publish(event)
    set_turn(tx, after)
    if claim.open and not after.open:
        cancel_clocks(tx, claim_id)
        await give_up(tx, after)


async def miss_interim(tx: Tx, claim_id: str, facility_id: str) -> None:
    """The day by which a part was to be paid in advance has passed."""
    claim, terms = await _claim_and_terms(tx, facility_id, claim_id)
    due = claim.filed_on + timedelta(days=terms.interim_days or 0)
    event = rules.miss_interim(claim, await known_cover(tx, facility_id), terms.interim_share, due)
    if event is not None:
        tx.publish(event)


async def miss_notice(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The days to give notice of a loss are over: tell it if none was given and the arrears stand."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan is None or loan.overdue_since is None or loan.notified_on is not None or loan.closed:
        return
    terms = (await terms_of(tx, await known_cover(tx, facility_id))).claims
    due = loan.overdue_since + timedelta(days=terms.notice_days or 0)
    tx.publish(
        DeadlineMissed(
            facility_id=facility_id,
            cover_id=loan.cover_id,
            loan_id=loan_id,
            duty=rules.NOTICE,
            side=BANK,
            due=due,
        )
    )


async def _claim_and_terms(tx: Tx, facility_id: str, claim_id: str) -> tuple[Claim, ClaimRules]:
    claim = await known_claim(tx, facility_id, claim_id)
    return claim, (await terms_of(tx, await known_cover(tx, facility_id))).claims


def _take_turn_over(tx: Tx, claim: Claim, event: object) -> Claim:
    tx.put(CLAIMS, claim)
    tx.publish(event)
    set_turn(tx, claim)
    return claim
