"""From an offer to an accepted value: two appraisers agree, and an appraisal that comes before its item is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from libs.events.application import ApplicationSubmitted, SecurityOffer
from libs.events.collateral import CollateralOffered, CollateralValued
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.kernel.policy import Dated
from libs.runtime.tx import Tx
from services.collateral import store, views
from services.collateral.domain import capacity, valuation
from services.collateral.domain.file import EarlyAppraisal, FileStatus, SecurityFile, check_open, exposure
from services.collateral.domain.item import Appraisal, Item, ItemStatus, valuation_of
from services.collateral.domain.valuation import ValuationTerms
from services.collateral.store import FILES, ITEMS

AWAITING_OFFER = "awaiting_offer"


async def offer_security(tx: Tx, event: ApplicationSubmitted) -> None:
    """Open the file, offer each security item, and apply the appraisals that came before their item."""
    earlier = await tx.find(FILES, event.facility_id)
    if earlier is not None and earlier.status is not FileStatus.AWAITED:
        raise Refused("already_submitted", event.facility_id)
    file = SecurityFile(
        facility_id=event.facility_id,
        currency=event.amount.currency,
        status=FileStatus.OPEN,
        requested=event.amount,
        early=earlier.early if earlier else (),
    )
    for number, offer in enumerate(event.security, start=1):
        item = _offer(tx, event.facility_id, number, offer)
        if file.early:
            file = await _apply_early(tx, file, item)
    tx.put(FILES, file)


def _offer(tx: Tx, facility_id: str, number: int, offer: SecurityOffer) -> Item:
    item = Item(
        collateral_id=tx.new_id("collateral"),
        facility_id=facility_id,
        number=number,
        kind=offer.kind,
        currency=offer.declared_value.currency,
        declared_value=offer.declared_value,
        index_series=offer.index_series,
        synthetic=offer.synthetic,
    )
    tx.put(ITEMS, item)
    tx.publish(
        CollateralOffered(
            facility_id=facility_id,
            collateral_id=item.collateral_id,
            kind=item.kind,
            declared_value=item.declared_value,
            index_series=item.index_series,
            synthetic=item.synthetic,
        )
    )
    return item


async def _apply_early(tx: Tx, file: SecurityFile, item: Item) -> SecurityFile:
    """Use what was filed for this item while it can be used; the rest stays on record in the file."""
    terms = tx.policy(ValuationTerms, "collateral/valuation")
    unused = []
    for early in file.early:
        recent = valuation.usable((early.appraisal,), tx.date, terms.terms)
        same_money = early.appraisal.value.currency == file.currency
        if early.number == item.number and item.status is ItemStatus.OFFERED and recent and same_money:
            item = await _appraised(tx, file, valuation.appraise(item, early.appraisal, tx.date, terms.terms), terms)
        else:
            unused.append(early)
    return replace(file, early=tuple(unused))


async def file_appraisal(
    tx: Tx, facility_id: str, number: int, *, value: Money, valued_on: date
) -> views.AppraisalReceipt:
    """One appraiser files a value; two that agree make it the item's, one that is early waits for the item."""
    terms = tx.policy(ValuationTerms, "collateral/valuation")
    appraisal = Appraisal(appraiser=tx.actor, value=value, valued_on=valued_on)
    age = valuation.age_of(valued_on, tx.date, terms.terms)
    file = await tx.find(FILES, facility_id)
    if file is None or file.status is FileStatus.AWAITED:
        count = _keep_early(
            tx, file or SecurityFile(facility_id=facility_id, currency=value.currency), number, appraisal
        )
        return views.AppraisalReceipt(
            facility_id=facility_id,
            item=number,
            collateral_id="",
            status=AWAITING_OFFER,
            age=age,
            appraisals=count,
            value=None,
        )
    check_open(file)
    item = await store.item(tx, facility_id, number)
    item = await _appraised(tx, file, valuation.appraise(item, appraisal, tx.date, terms.terms), terms)
    return views.AppraisalReceipt(
        facility_id=facility_id,
        item=number,
        collateral_id=item.collateral_id,
        status=item.status,
        age=age,
        appraisals=len(item.appraisals),
        value=item.valuation.value if item.valuation else None,
    )


def _keep_early(tx: Tx, file: SecurityFile, number: int, appraisal: Appraisal) -> int:
    terms = tx.policy(ValuationTerms, "collateral/valuation").terms
    valuation.check_appraisal(appraisal, file.currency, tx.date, terms)
    same_item = [early for early in file.early if early.number == number]
    if any(early.appraisal.appraiser == appraisal.appraiser for early in same_item):
        raise Refused("same_appraiser", f"{appraisal.appraiser} already appraised item {number}")
    if len(same_item) >= terms.appraisals_max:
        raise Refused("appraisals_exhausted", f"item {number} has {len(same_item)} appraisals and is not offered yet")
    tx.put(FILES, replace(file, early=(*file.early, EarlyAppraisal(number=number, appraisal=appraisal))))
    return len(same_item) + 1


async def _appraised(tx: Tx, file: SecurityFile, item: Item, terms: Dated[ValuationTerms]) -> Item:
    """Save an item with a new appraisal, and its value when the appraisals agree."""
    agreement = valuation.agree(item.appraisals, terms.terms)
    if agreement is None:
        tx.put(ITEMS, item)
        return item
    base = await store.base_level(tx, item.index_series, agreement.valued_on)
    item = valuation.accept(item, agreement, base, terms.terms, terms.ref)
    tx.put(ITEMS, item)
    accepted = valuation_of(item)
    wanted = exposure(file)
    together = capacity.combine(wanted, await tx.of(ITEMS, item.facility_id), terms.terms.combined_ratio_max)
    tx.publish(
        CollateralValued(
            facility_id=item.facility_id,
            collateral_id=item.collateral_id,
            appraisals=(agreement.pair[0].value, agreement.pair[1].value),
            value=accepted.value,
            advance_rate=accepted.advance_rate,
            capacity=capacity.capacity_of(item),
            ltv=capacity.loan_to_value(wanted, wanted.zero, accepted.value),
            sufficient=together.sufficient,
        ),
        policy=terms.ref,
    )
    return item
