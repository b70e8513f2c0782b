"""Who acts: staff act only in their own role, while trained, and apart from one another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.kernel.errors import Invalid, NotAllowed

CUSTOMER_MANAGER = "customer_manager"
REVIEWER = "reviewer"
APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """One employee: the outlet, the role, the level of authority, and the last day (inclusive) training is valid."""

    staff_id: str
    branch: str
    role: str
    level: str
    trained_until: date


def check_trained(staff: Staff, on: date) -> None:
    """Lapsed training is no authority: raises NotAllowed `training_lapsed` from the day after `trained_until`."""
    if on > staff.trained_until:
        raise NotAllowed("training_lapsed", f"{staff.staff_id} was trained until {staff.trained_until}")


def check_role(staff: Staff, *roles: str) -> None:
    """Raises NotAllowed `role_not_held` unless the employee's own record, not just the token, holds one of `roles`."""
    if staff.role not in roles:
        raise NotAllowed("role_not_held", f"{staff.staff_id} is {staff.role}, not {' or '.join(roles)}")


def check_apart(actor: str, makers: tuple[str, ...]) -> None:
    """Maker and checker are different people (商业银行法 art. 35); raises NotAllowed `maker_is_checker`."""
    if actor in makers:
        raise NotAllowed("maker_is_checker", f"{actor} already acted on this file")


def check_pair(lead: str, assistant: str) -> None:
    """Two investigations need two people; raises Invalid `same_investigator`."""
    if lead == assistant:
        raise Invalid("same_investigator", f"{lead} cannot be both lead and assistant")
