"""Who stood for a loan: one duty per role, because pay and accountability follow the person, not the post."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from libs.kernel.money import Money


class Role(StrEnum):
    """What a person did on the loan."""

    LEAD = "lead"
    ASSISTANT = "assistant"
    REVIEWER = "reviewer"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One person in one role on one loan."""

    staff: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffPay:
    """One person's part of an amount, in the role that earned it."""

    staff: str
    role: Role
    amount: Money


def duties(*, lead: str, assistant: str, reviewer: str, approver: str) -> tuple[Duty, ...]:
    """The duties on a loan, in the order of its life; a role nobody held has no duty."""
    held = {Role.LEAD: lead, Role.ASSISTANT: assistant, Role.REVIEWER: reviewer, Role.APPROVER: approver}
    return tuple(Duty(staff=staff, role=role) for role, staff in held.items() if staff)
