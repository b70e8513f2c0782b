"""The guarantor's disbursement notice (放款通知书): where it was agreed, no money moves before it."""

from __future__ import annotations

from dataclasses import replace

from libs.events.guarantee_upkeep import DisbursementNoticeIssued
from libs.kernel.errors import Refused
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import Cover, CoverState


def issue_notice(
    cover: Cover, agreement: Agreement, number: str, missing: tuple[str, ...]
) -> tuple[Cover, DisbursementNoticeIssued]:
    """The guarantor lets the bank pay out; `missing` are the undertakings that it asked for and that do not stand.

    Raises Refused where no notice was agreed, before the cover binds, while something is missing, or twice.
    """
    if not agreement.binding.notice:
        raise Refused("notice_not_agreed", f"{agreement.ref} knows no disbursement notice")
    if cover.notice:
        raise Refused("notice_issued_before", f"notice {cover.notice} was issued")
    if cover.state is not CoverState.BOUND:
        raise Refused("cover_not_bound", f"{cover.cover_id} is {cover.state}")
    if missing:
        raise Refused(
            "undertakings_missing", f"{cover.partner} asks for {', '.join(missing)}", missing=",".join(missing)
        )
    event = DisbursementNoticeIssued(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        partner=cover.partner,
        amount=cover.amount,
        notice=number,
    )
    return replace(cover, notice=number), event
