"""The door for time: the yearly pay run and the determination of a case, each referring to its loan."""

from __future__ import annotations

from libs.runtime.service import Timers
from libs.runtime.tx import Tx
from services.incentive import commands


async def pay_run_due(tx: Tx, ref: str, key: str) -> None:
    await commands.run_pay(tx, facility_id=key, loan_id=ref)


async def determination_due(tx: Tx, ref: str, key: str) -> None:
    await commands.determine_case(tx, facility_id=key, loan_id=ref)


TIMERS: Timers = {commands.VEST: pay_run_due, commands.DETERMINE: determination_due}
