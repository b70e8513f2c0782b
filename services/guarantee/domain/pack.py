"""A partner's admission rules as a decision table: data that is total by construction and gives one exact verdict.

A pack names no code: each rule is a verdict under conditions on named inputs. A table with a gap is refused, one with
overlaps unless it says that its first rule wins, so every request meets exactly one rule. Numbers are exact decimals
written in one way only, and all that is signed or compared is bytes of canonical JSON (RFC 8785, without its floats).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import product
from math import prod
from typing import Any

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import CoverFile

NUMBERS = ("amount", "annual_rate", "tenor_months")
TEXTS = ("branch", "grade", "industry", "product", "size_class")
CELLS_MAX = 50_000
_ELSE = None  # any text that no rule names


class Hit(StrEnum):
    """Which rule counts where several fit: none may (`unique`), or the one written first."""

    UNIQUE = "unique"
    FIRST = "first"


class Verdict(StrEnum):
    """What a rule says of a request."""

    ADMIT = "admit"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A number of at least `low` and below `high`; None is no bound. Amounts are in the agreement's currency."""

    low: Decimal | None = None
    high: Decimal | None = None

    @property
    def empty(self) -> bool:
        return self.low is not None and self.high is not None and self.low >= self.high

    def holds(self, value: Decimal) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of these words, or none of them."""

    words: frozenset[str]
    among: bool

    def holds(self, value: str | None) -> bool:
        return (value in self.words) is self.among


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All its conditions hold: then the verdict, with a reason code where it is a refusal."""

    when: Mapping[str, Span | Choice]
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rules that leave no request without a verdict."""

    hit: Hit
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        for name, condition in ((name, found) for rule in self.rules for name, found in rule.when.items()):
            _check_condition(name, condition)
        if any((rule.verdict is Verdict.REFUSE) is not bool(rule.reason) for rule in self.rules):
            raise Invalid("pack_reason_missing", "a refusal has a reason, an admission none")
        _check_total(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One version of a partner's rules under one agreement, as it was signed; `document` is what the digest is of."""

    pack_ref: str
    code: str
    partner: str
    version: int
    effective: date
    document: str
    digest: str
    signed_by: str
    signature: str
    received_on: date
    received_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKey:
    """A key that a partner signs its packs with (Ed25519, base64); nothing is taken in that it signs once revoked."""

    key_ref: str
    partner_id: str
    key_id: str
    public_key: str
    known_since: date
    revoked_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a pack said of one request; `statement` says all of it in canonical JSON, `digest` is of the statement.

    A facility whose request was routed has one for each agreement with a pack.
    """

    judgement_id: str
    facility_id: str
    code: str
    partner: str
    pack: str
    admitted: bool
    reason: str
    statement: str
    digest: str
    judged_on: date


def canonical(value: Any) -> bytes:
    """The one way in which this value is written: members by their UTF-16 code units, no spaces, whole numbers only.

    Raises Invalid for a float: exact decimals are written as text.
    """
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def digest_of(text: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def read_table(document: Mapping[str, Any]) -> Table:
    """The table of a pack; raises Invalid when it is none, has a gap, or overlaps without saying which rule wins."""
    try:
        rules = tuple(
            Rule(
                when={name: _condition(terms) for name, terms in rule["when"].items()},
                verdict=Verdict(rule["verdict"]),
                reason=rule.get("reason", ""),
            )
            for rule in document["rules"]
        )
        return Table(hit=Hit(document["hit"]), rules=rules)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as unreadable:
        raise Invalid("pack_unreadable", type(unreadable).__name__) from unreadable


def signed_pack(
    document: Mapping[str, Any], *, signed_by: str, signature: str, received_from: str, received_on: date
) -> Pack:
    """The pack as it is kept; raises Invalid when its table is none or its first day is no day."""
    read_table(document)
    try:
        effective = date.fromisoformat(document["effective"])
    except ValueError as unreadable:
        raise Invalid("pack_unreadable", f"{document['effective']} is no day") from unreadable
    text = canonical(document)
    return Pack(
        pack_ref=pack_ref(document["agreement"], document["version"]),
        code=document["agreement"],
        partner=document["partner"],
        version=document["version"],
        effective=effective,
        document=text.decode(),
        digest=digest_of(text),
        signed_by=signed_by,
        signature=signature,
        received_on=received_on,
        received_from=received_from,
    )


def follow_pack(packs: Sequence[Pack], agreement: Agreement, new: Pack) -> None:
    """Refuse a pack of another agreement or partner, one that was there before, and one older than what is there."""
    if new.partner != agreement.partner_id or new.code != agreement.code:
        raise Invalid("pack_of_another", f"{agreement.code} is an agreement with {agreement.partner_id}")
    if any(pack.digest == new.digest for pack in packs):
        raise Refused("pack_exists", new.pack_ref)
    if any(pack.version >= new.version or pack.effective > new.effective for pack in packs):
        raise Refused("pack_rolled_back", f"{new.pack_ref} is older than what was signed before")


def pack_in_force(packs: Sequence[Pack], on: date) -> Pack | None:
    """The latest pack effective on or before the day; None before the first one."""
    return max((pack for pack in packs if pack.effective <= on), key=lambda pack: pack.version, default=None)


def inputs_of(file: CoverFile, amount: Money) -> dict[str, str]:
    """What a pack may ask about a request, each as text in one way only."""
    return {
        "amount": plain(amount.amount),
        "annual_rate": plain(file.annual_rate),
        "branch": file.branch,
        "grade": file.grade,
        "industry": file.industry,
        "product": file.product,
        "size_class": file.size_class,
        "tenor_months": plain(Decimal(file.tenor_months)),
    }


def decide(table: Table, inputs: Mapping[str, str]) -> tuple[int, Rule]:
    """The rule that counts for these inputs and its place from 1; there is always one."""
    values: dict[str, Any] = {name: Decimal(inputs[name]) for name in NUMBERS} | {name: inputs[name] for name in TEXTS}
    return next(
        (place, rule)
        for place, rule in enumerate(table.rules, start=1)
        if all(condition.holds(values[name]) for name, condition in rule.when.items())
    )


def state(ref: str, pack_digest: str, table: Table, inputs: Mapping[str, str]) -> bytes:
    """The verdict with all it rests on, the same bytes whoever computes them."""
    place, rule = decide(table, inputs)
    said = {
        "digest": pack_digest,
        "inputs": dict(inputs),
        "pack": ref,
        "reason": rule.reason,
        "rule": place,
        "verdict": rule.verdict.value,
    }
    return canonical(said)


def judge(pack: Pack, file: CoverFile, amount: Money, on: date) -> Judgement:
    """What the partner's pack says of the request."""
    statement = state(pack.pack_ref, pack.digest, read_table(json.loads(pack.document)), inputs_of(file, amount))
    said = json.loads(statement)
    return Judgement(
        judgement_id=judgement_id(file.facility_id, pack.code),
        facility_id=file.facility_id,
        code=pack.code,
        partner=pack.partner,
        pack=pack.pack_ref,
        admitted=said["verdict"] == Verdict.ADMIT,
        reason=said["reason"],
        statement=statement.decode(),
        digest=digest_of(statement),
        judged_on=on,
    )


def pack_ref(code: str, version: int) -> str:
    """How a pack is named: `code#version`."""
    return f"{code}#{version}"


def judgement_id(facility_id: str, code: str) -> str:
    """A request is judged under each agreement for itself."""
    return f"{facility_id}/{code}"


def plain(number: Decimal) -> str:
    """A number without exponent, sign of zero or idle zeros."""
    return format(number.normalize() + 0, "f")


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_ordered(inner) for inner in value]
    if not isinstance(value, str | int | None):
        raise Invalid("pack_not_exact", "numbers with a fraction are written as text")
    return value


def _condition(terms: Mapping[str, Any]) -> Span | Choice:
    match dict(terms):
        case {"in": words, **rest} if not rest:
            return Choice(words=frozenset(words), among=True)
        case {"not_in": words, **rest} if not rest:
            return Choice(words=frozenset(words), among=False)
        case {**bounds} if bounds and set(bounds) <= {"from", "below"}:
            low, high = (Decimal(bounds[name]) if name in bounds else None for name in ("from", "below"))
            return Span(low=low, high=high)
    raise ValueError


def _check_condition(name: str, condition: Span | Choice) -> None:
    if name not in (NUMBERS if isinstance(condition, Span) else TEXTS):
        raise Invalid("pack_input_unknown", f"{name} is no such input: numbers are {NUMBERS}, words {TEXTS}")
    if isinstance(condition, Span) and condition.empty:
        raise Invalid("pack_range_empty", f"{name}: no number is from {condition.low} and below {condition.high}")


def _check_total(table: Table) -> None:
    """Look at every kind of request that the table can tell apart: exactly one rule is for it, or the first is."""
    samples = {name: _samples(table, name) for name in sorted({name for rule in table.rules for name in rule.when})}
    if prod(len(found) for found in samples.values()) > CELLS_MAX:
        raise Invalid("pack_too_wide", f"the table tells more than {CELLS_MAX} kinds of request apart")
    fitting = [[_fitting(table, name, sample) for sample in found] for name, found in samples.items()]
    everyone = (1 << len(table.rules)) - 1
    for places in product(*(range(len(found)) for found in samples.values())):
        fits = everyone
        for masks, place in zip(fitting, places, strict=True):
            fits &= masks[place]
        if not fits:
            raise Invalid("pack_has_gap", _told(samples, places))
        if table.hit is Hit.UNIQUE and fits & (fits - 1):
            raise Invalid("pack_overlaps", _told(samples, places))


def _samples(table: Table, name: str) -> list[Any]:
    """One value of each kind that the rules tell apart: of each stretch the lowest number, each word and another."""
    conditions = [rule.when[name] for rule in table.rules if name in rule.when]
    spans = [condition for condition in conditions if isinstance(condition, Span)]
    bounds = {bound for span in spans for bound in (span.low, span.high) if bound is not None}
    if name in NUMBERS:  # no input is below zero
        return sorted({Decimal(0), *(bound for bound in bounds if bound > 0)})
    return [*sorted({word for choice in conditions if isinstance(choice, Choice) for word in choice.words}), _ELSE]


def _fitting(table: Table, name: str, sample: Any) -> int:
    """The rules that a sample fits, as bits."""
    bits = 0
    for place, rule in enumerate(table.rules):
        condition = rule.when.get(name)
        bits |= (condition is None or condition.holds(sample)) << place
    return bits


def _told(samples: Mapping[str, list[Any]], places: Sequence[int]) -> str:
    cell = zip(samples.items(), places, strict=True)
    return (
        ", ".join(f"{name} {'any other' if found[place] is _ELSE else found[place]}" for (name, found), place in cell)
        or "any request"
    )
