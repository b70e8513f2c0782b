"""Registers staff and finds who acts: every actor has a record of their own, with role, level and valid training."""

from __future__ import annotations

from libs.kernel.errors import Invalid, NotAllowed
from libs.runtime.tx import Tx
from services.application.domain.people import Staff, check_role, check_trained
from services.application.store import STAFF


async def register_staff(tx: Tx, staff: Staff) -> Staff:
    """Enter an employee, or the same employee's new role, level or training."""
    tx.put(STAFF, staff)
    return staff


async def acting(tx: Tx, *roles: str) -> Staff:
    """The actor's own record, in one of `roles` and trained today; raises NotAllowed."""
    staff = await tx.find(STAFF, tx.actor)
    if staff is None:
        raise NotAllowed("staff_unknown", f"{tx.actor} is not on the staff register")
    check_role(staff, *roles)
    check_trained(staff, tx.date)
    return staff


async def named(tx: Tx, staff_id: str) -> Staff:
    """The record of somebody a request names; raises Invalid `staff_unknown`."""
    staff = await tx.find(STAFF, staff_id)
    if staff is None:
        raise Invalid("staff_unknown", f"{staff_id} is not on the staff register")
    return staff
