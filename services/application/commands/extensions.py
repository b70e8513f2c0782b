"""Extend a loan: a manager asks, an approver decides, and under cover the guarantor's consent lets it take effect."""

from __future__ import annotations

from datetime import date, timedelta

from libs.events.guarantee_upkeep import ChangeRefused, CoverEndorsed
from libs.kernel.errors import Invalid, Refused
from libs.runtime.tx import Tx
from services.application.commands.drawing import loan_of
from services.application.commands.people import acting
from services.application.commands.servicing import look
from services.application.domain import extension as rules
from services.application.domain.authority import AuthorityTerms, check_authority
from services.application.domain.deadlines import DECIDED_BY
from services.application.domain.extension import Extension, ExtensionState, ExtensionTerms
from services.application.domain.facility import CoverState
from services.application.domain.people import APPROVER, CUSTOMER_MANAGER, check_apart
from services.application.store import EXTENSIONS, FACILITIES, LOANS

CONSENT_BY = "extension.consent_by"
GUARANTOR = "guarantor"


async def ask_extension(tx: Tx, facility_id: str, loan_id: str, maturity: date, document: str) -> Extension:
    """Put an extension before the approver, within what the policy admits."""
    loan = await loan_of(tx, facility_id, loan_id)
    await acting(tx, CUSTOMER_MANAGER)
    asked = rules.ask_extension(
        loan,
        await _of(tx, loan_id, facility_id),
        tx.policy(ExtensionTerms, "application/extension").terms,
        extension_id=tx.new_id("extension"),
        maturity=maturity,
        document=document,
        actor=tx.actor,
        on=tx.date,
    )
    tx.put(EXTENSIONS, asked)
    return asked


async def approve_extension(tx: Tx, facility_id: str, loan_id: str, extension_id: str) -> Extension:
    """Agree to it within authority: without cover it takes effect at once, else once the guarantor consents."""
    loan, facility = await loan_of(tx, facility_id, loan_id), await tx.get(FACILITIES, facility_id)
    extension = await _undecided(tx, facility_id, loan_id, extension_id)
    approver = await acting(tx, APPROVER)
    check_apart(tx.actor, (*facility.makers, extension.asked_by))
    authority = tx.policy(AuthorityTerms, "application/authority")
    check_authority(approver.level, facility.grade, loan.outstanding, authority.terms)
    rules.check_extendable(loan, tx.date)
    approved, event = rules.approve(extension, tx.actor)
    tx.put(EXTENSIONS, approved)
    tx.publish(event, policy=authority.ref)
    if facility.cover is not CoverState.BOUND:
        return await _take_effect(tx, approved)
    days = tx.policy(ExtensionTerms, "application/extension").terms.consent_days
    tx.timer(CONSENT_BY, ref=extension_id, key=facility_id, due=tx.date + timedelta(days=days))
    return approved


async def refuse_extension(tx: Tx, facility_id: str, loan_id: str, extension_id: str, reason: str) -> Extension:
    """Turn it down, with a reason."""
    extension = await _undecided(tx, facility_id, loan_id, extension_id)
    facility = await tx.get(FACILITIES, facility_id)
    await acting(tx, APPROVER)
    check_apart(tx.actor, (*facility.makers, extension.asked_by))
    if not reason:
        raise Invalid("reason_required", "a refusal needs a reason")
    return _refuse(tx, extension, tx.actor, reason)


async def note_endorsement(tx: Tx, event: CoverEndorsed) -> None:
    """The guarantor stands for other terms; if they are those of an extension that waits, it takes effect."""
    extension = await tx.find(EXTENSIONS, event.change_id)
    if extension is not None and extension.state is ExtensionState.APPROVED and event.maturity >= extension.maturity:
        tx.cancel_timer(CONSENT_BY, ref=extension.extension_id)
        await _take_effect(tx, extension)


async def note_change_refused(tx: Tx, event: ChangeRefused) -> None:
    """The guarantor does not consent, or did not answer: an extension that waits for it is refused."""
    extension = await tx.find(EXTENSIONS, event.change_id)
    if extension is not None and extension.state is ExtensionState.APPROVED:
        tx.cancel_timer(CONSENT_BY, ref=extension.extension_id)
        _refuse(tx, extension, GUARANTOR, event.reason)


async def end_consent(tx: Tx, extension_id: str, facility_id: str) -> None:
    """Nobody said anything in time: what has no consent takes no effect."""
    for extension in await tx.of(EXTENSIONS, facility_id):
        if extension.extension_id == extension_id and extension.state is ExtensionState.APPROVED:
            _refuse(tx, extension, DECIDED_BY, "no_consent_in_time")


async def _take_effect(tx: Tx, extension: Extension) -> Extension:
    """Move the maturity, unless the loan came into trouble or was repaid while the guarantor thought it over."""
    loan = await loan_of(tx, extension.facility_id, extension.loan_id)
    try:
        rules.check_extendable(loan, tx.date)
    except Refused as late:
        return _refuse(tx, extension, DECIDED_BY, late.code)
    effective, extended, event = rules.extend(extension, loan)
    tx.put(EXTENSIONS, effective)
    tx.put(LOANS, extended)
    tx.publish(event)
    look(tx, loan, extended)
    return effective


def _refuse(tx: Tx, extension: Extension, decided_by: str, reason: str) -> Extension:
    refused, event = rules.refuse(extension, decided_by, reason)
    tx.put(EXTENSIONS, refused)
    tx.publish(event)
    return refused


async def _undecided(tx: Tx, facility_id: str, loan_id: str, extension_id: str) -> Extension:
    extension = rules.found(await tx.of(EXTENSIONS, facility_id), loan_id, extension_id)
    rules.check_undecided(extension)
    return extension


async def _of(tx: Tx, loan_id: str, facility_id: str) -> tuple[Extension, ...]:
    return tuple(each for each in await tx.of(EXTENSIONS, facility_id) if each.loan_id == loan_id)
