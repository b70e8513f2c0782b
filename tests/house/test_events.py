"""The contract: every event is an immutable, described fact, a service or a person acts on it, no handler idles."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from libs.events.catalogue import MODULES, TOPICS, kinds
from libs.events.envelope import Kind
from libs.runtime.service import Service
from services.application import main as application
from services.collateral import main as collateral
from services.console import main as console
from services.guarantee import main as guarantee
from services.incentive import main as incentive
from services.rating import main as rating

ACTING: tuple[Service, ...] = tuple(main.service for main in (application, rating, collateral, guarantee, incentive))
ALL: tuple[Service, ...] = (*ACTING, console.service)

EXTERNAL = {
    "referral.received.v1": "the channel that referred the customer learns that the story began",
    "investigation.opened.v1": "the two managers named see their task",
    "investigation.filed.v1": "sealed on purpose: nobody may act before both are in",
    "investigation.disputed.v1": "a third person must resolve it",
    "application.reviewed.v1": "the approver reads it; the decision is a person's",
    "application.approved.v1": "who decided and why, for audit; the limit travels as facility.granted",
    "contract.signed.v1": "for audit; the drawdown waits in application itself",
    "drawdown.requested.v1": "for audit; its conditions are met in application itself",
    "disbursement.requested.v1": "core banking is called over HTTP, this is the record of the order",
    "disbursement.failed.v1": "a customer manager tells the borrower",
    "disbursement.unknown.v1": "operations asks core banking by hand; nothing may be assumed about the money",
    "provision.changed.v1": "the general ledger books it",
    "collateral.revalued.v1": "risk control watches the triggers",
    "shortfall.found.v1": "a customer manager asks for more security",
    "disposal.started.v1": "the disposal agent sees the floors",
    "cover.requested.v1": "the partner is called over HTTP, this is the record of the request",
    "extension.refused.v1": "the manager tells the borrower, and the claims officer the guarantor",
    "loan.extended.v1": "core banking moves the last instalment",
    "change.requested.v1": "the partner is called over HTTP, or finds it among its events: this is the record",
    "change.consented.v1": "the manager signs the new terms",
    "cover.expiring.v1": "the claims officer claims, or asks for an extension, before the last day",
    "guarantor.signed.v1": "the manager's file; guarantee itself waits for what the partner asked for",
    "counter_guarantee.perfected.v1": "the partner's own book; guarantee itself waits for it before the notice",
    "quote.received.v1": "the manager sees what is on offer; guarantee itself chooses when all are in",
    "quote.declined.v1": "the manager sees who is out of it",
    "capacity.released.v1": "the partners' limits are watched by people",
    "cover.activated.v1": "the partner's own book",
    "cover.filed.v1": "the partner's own book",
    "cover.confirmed.v1": "the bank's list of drawdowns that need no second look",
    "cover.removed.v1": "risk control: the drawdown stands without its cover",
    "premium.due.v1": "core banking collects it",
    "payout.deferred.v1": "treasury expects the money in the next year",
    "premium.refunded.v1": "core banking gives it back",
    "premium.paid.v1": "the partner's own book",
    "loss.notified.v1": "the partner opens its file (报案)",
    "deadline.missed.v1": "people press the side that is named",
    "claim.queried.v1": "the claims officer finds what is asked for",
    "claim.answered.v1": "the partner goes on with its decision",
    "claim.interim_paid.v1": "the general ledger books it; application counts the claim when it is paid in full",
    "claim.refused.v1": "the claims officer mends what was wrong or lets it be",
    "claim.accepted.v1": "risk control waits for the money",
    "reguarantee.reimbursed.v1": "the direct payer's own book; the bank has its money already",
    "cover.endangered.v1": "whose duty it is mends it before the last day",
    "cover.mended.v1": "the console's total goes down",
    "balance.confirmed.v1": "both sides' accountants close the month",
    "balance.contested.v1": "people of both sides look for the difference",
    "reguarantee.overdue.v1": "people press the party named",
    "cap.reached.v1": "risk control: further losses of the period fall on the bank",
    "partner.warned.v1": "risk control and the partner talk before it comes to a suspension",
    "partner.suspended.v1": "branches stop asking; guarantee itself binds nothing",
    "partner.reinstated.v1": "branches ask again",
    "partner.unreachable.v1": "operations tells the partner, which mends its endpoint and enables it again",
    "recovery.shared.v1": "the general ledger pays the partners their parts",
    "cover.released.v1": "the partner's own book",
    "result.accrued.v1": "payroll",
    "pay.deferred.v1": "payroll",
    "pay.vested.v1": "payroll",
    "pay.clawed_back.v1": "payroll",
    "case.opened.v1": "the people concerned are heard",
    "exemption.granted.v1": "the people concerned learn it; application acts on case.determined",
    "exemption.refused.v1": "the people concerned learn it; application acts on case.determined",
}
"""Events no service acts on, each with who outside does; the console shows all of them."""

RUNTIME = {"day.closed.v1"}  # applied by libs/runtime/daybreak.py in every service
WIRE_NAME = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")


def flaws(body: type) -> list[str]:
    """What keeps a class from being an event body, or a part of one."""
    if not dataclasses.is_dataclass(body):
        return ["not a dataclass"]
    found = []
    if not body.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # not in the type of a dataclass
        found.append("not frozen")
    if "__slots__" not in vars(body):
        found.append("no slots")
    if not all(field.kw_only for field in dataclasses.fields(body)):
        found.append("not keyword-only")
    if not body.__doc__ or body.__doc__.startswith(f"{body.__name__}("):  # what dataclass() writes by itself
        found.append("no docstring")
    return found


def idles(handler: Any) -> bool:
    """Whether a function's body does nothing: only its docstring, `pass`, `...` or a bare return."""
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(handler))).body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return all(
        isinstance(step, ast.Pass)
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        or (isinstance(step, ast.Return) and (step.value is None or isinstance(step.value, ast.Constant)))
        for step in function.body
    )


def contract_classes() -> list[type]:
    """Every dataclass that an events module defines: bodies and the parts they are made of."""
    return [
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("body", contract_classes(), ids=lambda body: body.__name__)
def test_an_event_is_a_frozen_slotted_keyword_only_dataclass_with_a_docstring(body: type) -> None:
    assert flaws(body) == []


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.type)
def test_a_wire_name_is_a_noun_and_a_participle_on_its_own_publishers_topic(kind: Kind) -> None:
    assert WIRE_NAME.fullmatch(kind.name)
    assert kind.version >= 1
    assert kind.topic in TOPICS
    assert kind.body.__module__.partition("_")[0] == f"libs.events.{kind.topic}"


def test_every_event_is_acted_on_by_a_service_or_by_somebody_outside() -> None:
    handled = {kind for service in ACTING for kind in service.reactions}
    unhandled = {kind.type for kind in kinds()} - handled - RUNTIME
    assert unhandled == set(EXTERNAL), "list who outside acts on it, or strike out what a service now handles"


def test_the_console_records_every_event_but_the_clocks() -> None:
    assert set(console.service.reactions) == {kind.type for kind in kinds()} - RUNTIME


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_a_service_reads_exactly_the_topics_it_handles(service: Service) -> None:
    topic_of = {kind.type: kind.topic for kind in kinds()}
    assert {topic_of[kind] for kind in service.reactions} == set(service.reads)
    assert service.name not in service.reads


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_no_handler_idles(service: Service) -> None:
    handlers = {*service.reactions.values(), *service.timers.values()}
    assert [handler.__name__ for handler in handlers if idles(handler)] == []


async def _only_says(tx: Any, event: Any, meta: Any) -> None:
    """Something happened."""


async def _passes(tx: Any, event: Any, meta: Any) -> None:
    """Something happened."""
    pass  # noqa: PIE790 - the planted violation


async def _returns(tx: Any, event: Any, meta: Any) -> None:
    return None


async def _acts(tx: Any, event: Any, meta: Any) -> None:
    tx.put(event)


def test_a_planted_idle_handler_is_caught() -> None:
    assert [idles(handler) for handler in (_only_says, _passes, _returns, _acts)] == [True, True, True, False]


@dataclass(slots=True, kw_only=True)
class _Thawed:
    """It can be changed."""

    facility_id: str


@dataclass(frozen=True, kw_only=True)
class _Roomy:
    """It has a __dict__."""

    facility_id: str


@dataclass(frozen=True, slots=True)
class _Positional:
    """Its fields can be mixed up."""

    facility_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silent:
    facility_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sound:
    """Something happened."""

    facility_id: str


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (_Thawed, ["not frozen"]),
        (_Roomy, ["no slots"]),
        (_Positional, ["not keyword-only"]),
        (_Silent, ["no docstring"]),
        (int, ["not a dataclass"]),
        (_Sound, []),
    ],
)
def test_a_planted_flaw_is_caught(body: type, found: list[str]) -> None:
    assert flaws(body) == found
