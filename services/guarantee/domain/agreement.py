"""A partner and the standing agreement under which it covers: terms that contradict themselves are never admitted.

An agreement is a row of versions. A version counts from its effective day once both sides have signed exactly its
terms, and never changes; a cover keeps the version it was bound under.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from libs.events.guarantee import LayerOf, ShareOf
from libs.kernel.errors import Invalid, NotAllowed, Refused
from libs.kernel.money import Money
from services.guarantee.domain.sharing import BANK, Sharing, bank_share, cut, least, partners_part, parts_of
from services.guarantee.domain.terms import (
    Adopting,
    ArrearsTrigger,
    Binding,
    BindTiming,
    Cap,
    ClaimRules,
    Contact,
    Coverage,
    Duties,
    Eligibility,
    Leg,
    Liability,
    Limits,
    PayoutCap,
    PremiumRules,
    Signature,
    Trigger,
    UseTrigger,
)

RESERVED = "any"


class ShareSource(StrEnum):
    """Where the shares of a cover come from: the agreement's own table, or the amount the partner's answer names."""

    AGREEMENT = "agreement"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A third party that was admitted to stand for loans: guarantee company, insurer, public fund."""

    partner_id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One version of the terms of one agreement; `ref` is `code@effective`, `digest` the SHA-256 that both sides sign.

    Fractions (`share_max`, `bank_share_min`, `premium_rate` a year) are 0 to 1. `share_max` bounds what the partners
    together guarantee of a loan amount. `claim_wait_days` are calendar days from the first day past due; on the last
    of them the claim is filed. `pay_working_days` run from the day the claim was accepted; 0 means that none were
    agreed, and an insurer has the days that law gives it. `direct` is the party that
    pays the bank, the first partner named unless said.
    """

    ref: str
    code: str
    partner_id: str
    kind: str
    share_source: ShareSource
    shares: tuple[ShareOf, ...]
    share_max: Decimal
    currency: str
    capacity: Money
    grades: tuple[str, ...]
    bank_share_min: Decimal
    premium_rate: Decimal
    premium_payer: str
    claim_wait_days: int
    pay_working_days: int
    effective: date
    source: str
    layers: tuple[LayerOf, ...] = ()
    direct: str = ""
    legs: tuple[Leg, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    eligibility: Eligibility = field(default_factory=Eligibility)
    binding: Binding = field(default_factory=Binding)
    limits: Limits = field(default_factory=Limits)
    claims: ClaimRules = field(default_factory=ClaimRules)
    liability: Liability = field(default_factory=Liability)
    duties: Duties = field(default_factory=Duties)
    cap: Cap | None = None
    triggers: tuple[Trigger, ...] = ()
    arrears: ArrearsTrigger | None = None
    use: UseTrigger | None = None
    adopting: Adopting = Adopting.EVERY_BRANCH
    contact: Contact = Contact.WE_CALL
    premium_product: str = ""
    premium_rate_max: Decimal | None = None
    premiums: PremiumRules = field(default_factory=PremiumRules)
    payout: PayoutCap | None = None
    drafted_by: str = ""
    signatures: tuple[Signature, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self))
        match self.share_source:
            case ShareSource.AGREEMENT:
                _check_shares(self)
            case ShareSource.ANSWER:
                if self.shares or self.layers:
                    raise Invalid("shares_named_twice", f"{self.code}: the partner's answer names the shares")
        _check_terms(self)

    @property
    def sharing(self) -> Sharing:
        """How a loss is shared under the agreement's own table."""
        return Sharing(shares=self.shares, layers=self.layers)

    @property
    def watched(self) -> tuple[Trigger | ArrearsTrigger | UseTrigger, ...]:
        """All that its partner is measured by."""
        return (*self.triggers, *(one for one in (self.arrears, self.use) if one is not None))

    @property
    def signed(self) -> bool:
        """Whether both sides have signed these terms."""
        return {BANK, self.partner_id} <= {signature.party for signature in self.signatures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """One branch uses an agreement of a higher level, within limits of its own that are never wider."""

    adoption_id: str
    code: str
    branch: str
    currency: str
    capacity: Money
    amount_max: Money | None
    grades: tuple[str, ...]
    adopted_by: str
    adopted_on: date


def version_ref(code: str, effective: date) -> str:
    """How a version is named, as policies are: `code@effective`."""
    return f"{code}@{effective.isoformat()}"


def in_force(versions: tuple[Agreement, ...], on: date) -> Agreement | None:
    """The latest signed version effective on or before `on`; None before the first one."""
    past = [version for version in versions if version.effective <= on and version.signed]
    return max(past, key=lambda version: version.effective, default=None)


def follow(versions: tuple[Agreement, ...], new: Agreement) -> None:
    """Refuse a version that is there already, goes back in time, or changes what all versions share."""
    if any(version.ref == new.ref for version in versions):
        raise Refused("agreement_exists", f"{new.ref}: new terms need a new effective day")
    if any(version.effective > new.effective for version in versions):
        raise Refused("version_not_latest", f"{new.code} has a version from a later day")
    if any((v.partner_id, v.currency) != (new.partner_id, new.currency) for v in versions):
        raise Refused("version_of_another", f"{new.code} is an agreement with another partner or in another currency")


def sign(agreement: Agreement, signature: Signature) -> Agreement:
    """Add one side's signature; who drafted for the bank does not sign for it."""
    if signature.party not in (BANK, agreement.partner_id):
        raise NotAllowed("not_a_party", f"{signature.party} is no side of {agreement.ref}")
    if signature.digest != agreement.digest:
        raise Refused("other_terms_signed", f"{agreement.ref} has the digest {agreement.digest}")
    if any(signature.party == earlier.party for earlier in agreement.signatures):
        raise Refused("already_signed", f"{signature.party} has signed {agreement.ref}")
    if signature.party == BANK and signature.by == agreement.drafted_by:
        raise NotAllowed("maker_is_checker", f"{signature.by} drafted {agreement.ref}")
    return replace(agreement, signatures=(*agreement.signatures, signature))


def adopt(agreement: Agreement, adoption: Adoption) -> Adoption:
    """A branch's own limits must lie within the agreement's; raises Invalid otherwise."""
    if adoption.capacity.currency != agreement.currency:
        raise Invalid("currency_mismatch", f"{agreement.code} counts in {agreement.currency}")
    most = agreement.eligibility.amount_max
    wider = (
        adoption.capacity > agreement.capacity
        or not set(adoption.grades) <= set(agreement.grades)
        or (most is not None and adoption.amount_max is not None and adoption.amount_max.amount > most)
    )
    if wider:
        raise Invalid("adoption_too_wide", f"{adoption.branch} may only narrow the terms of {agreement.ref}")
    return adoption


def hold_for(agreement: Agreement, amount: Money) -> Money:
    """The most that the partners can come to guarantee of `amount`: what capacity must have room for."""
    match agreement.share_source:
        case ShareSource.AGREEMENT:
            most = partners_part(amount, agreement.sharing, amount)
        case ShareSource.ANSWER:
            most = amount * agreement.share_max
    bound = agreement.limits.cover_max
    return most if bound is None else least(most, Money(bound, amount.currency))


def agreed_split(agreement: Agreement, amount: Money) -> tuple[Sharing, Money]:
    """How a loss on `amount` is shared under the agreement's own table, and what of it the partners guarantee.

    Where the limit of one cover cuts the partners' part, the ratio is that of the amounts that are left.
    """
    guaranteed = hold_for(agreement, amount)
    if guaranteed == partners_part(amount, agreement.sharing, amount):
        return agreement.sharing, guaranteed
    parts, above = cut(parts_of(amount, agreement.shares), guaranteed)
    amounts = {part.party: part.amount for part in parts}
    amounts[BANK] += above
    shares = (ShareOf(party=party, weight=part.amount) for party, part in amounts.items())
    return Sharing(shares=tuple(shares)), guaranteed


def direct_payer(agreement: Agreement) -> str:
    """The party that pays the bank first and whole; the partner itself where its answer names the shares."""
    named = (share.party for share in agreement.shares if share.party != BANK)
    return agreement.direct or next(named, agreement.partner_id)


def _check_shares(agreement: Agreement) -> None:
    parties = [share.party for share in agreement.shares]
    if BANK not in parties or len(parties) < 2:  # noqa: PLR2004 - the bank and at least one partner
        raise Invalid("parties_incomplete", f"{agreement.code} needs the bank and at least one partner")
    _check_ratios(agreement, agreement.shares, *(layer.shares for layer in agreement.layers))
    bounds = [layer.up_to for layer in agreement.layers]
    if bounds != sorted(set(bounds)) or any(not 0 < bound < 1 for bound in bounds):
        raise Invalid(
            "layers_not_rising", f"{agreement.code}: each layer ends above the one before it, below the whole"
        )
    if agreement.layers and agreement.limits.cover_max is not None:
        raise Invalid("layers_with_maximum", f"{agreement.code}: a maximum of one loan would cut into the layers")
    kept = bank_share(agreement.sharing)
    if kept < agreement.bank_share_min:
        raise Invalid("bank_share_below_minimum", f"{agreement.code}: the bank keeps {kept} of a loss")
    if 1 - kept > agreement.share_max:
        raise Invalid("shares_above_maximum", f"{agreement.code}: partners bear more than {agreement.share_max}")


def _check_ratios(agreement: Agreement, *ratios: tuple[ShareOf, ...]) -> None:
    for shares in ratios:
        if len({share.party for share in shares}) != len(shares):
            raise Invalid("party_named_twice", agreement.code)
        if not shares or any(share.weight <= 0 for share in shares):
            raise Invalid("weights_not_positive", agreement.code)


def _check_terms(agreement: Agreement) -> None:
    _check_binding(agreement)
    if bool(agreement.premiums.subsidy) != bool(agreement.premiums.subsidised_by):
        raise Invalid("subsidy_of_nobody", f"{agreement.code}: a subsidy has a part and a party that bears it")
    if agreement.premiums.subsidised_by == agreement.premium_payer:
        raise Invalid("subsidy_of_nobody", f"{agreement.code}: nobody subsidises itself")
    if agreement.ref != version_ref(agreement.code, agreement.effective):
        raise Invalid("version_misnamed", f"{agreement.ref} is not {agreement.code} from {agreement.effective}")
    if agreement.cap is not None and agreement.cap.excess:
        _check_ratios(agreement, agreement.cap.excess)
    if any(trigger.warn_at is not None and trigger.warn_at > trigger.suspend_at for trigger in agreement.watched):
        raise Invalid("warned_after_suspension", f"{agreement.code}: a warning comes before the suspension")
    if len({trigger.measure for trigger in agreement.triggers}) != len(agreement.triggers):
        raise Invalid("measure_named_twice", agreement.code)
    if agreement.premium_rate_max is not None and agreement.premium_rate > agreement.premium_rate_max:
        raise Invalid("premium_above_ceiling", f"{agreement.code}: at most {agreement.premium_rate_max} a year")
    _check_clocks(agreement)
    _check_roles(agreement)


def _check_roles(agreement: Agreement) -> None:
    """Who pays, who leads and who stands behind must be parties of the agreement."""
    legs = [leg.party for leg in agreement.legs]
    parties, payer = _parties(agreement), direct_payer(agreement)
    if payer == BANK or payer not in parties:
        raise Invalid("payer_unknown", f"{agreement.code}: {payer} is none of {sorted(parties)}")
    if agreement.liability.recovery_lead not in parties | {BANK}:
        raise Invalid("lead_unknown", f"{agreement.code}: {agreement.liability.recovery_lead} is none of the parties")
    behind = parties - {BANK, payer}
    if len(set(legs)) != len(legs) or not set(legs) <= behind:
        raise Invalid("legs_of_strangers", f"{agreement.code}: those behind the direct payer are {sorted(behind)}")


def _check_binding(agreement: Agreement) -> None:
    """How a cover comes about must be possible."""
    binding = agreement.binding
    filed = binding.timing is BindTiming.FILED
    if agreement.code == RESERVED:
        raise Invalid("code_reserved", f"{RESERVED} asks for whichever agreement fits")
    if filed != (binding.file_days > 0):
        raise Invalid("filing_days_missing", f"{agreement.code}: drawdowns are filed within a number of days, or never")
    if filed and (agreement.share_source is ShareSource.ANSWER or binding.quoted):
        raise Invalid("nobody_answers", f"{agreement.code}: a batch partner answers no single request")
    if agreement.liability.guarantors is not None and not binding.notice:
        raise Invalid("guarantors_unchecked", f"{agreement.code}: guarantors are looked at for the disbursement notice")
    if filed and (binding.before_disbursement or binding.notice):
        raise Invalid("filed_and_awaited", f"{agreement.code}: a batch partner hears of a drawdown when it is paid out")


def _check_clocks(agreement: Agreement) -> None:
    claims = agreement.claims
    if claims.interim_share and claims.interim_days is None:
        raise Invalid("interim_incomplete", f"{agreement.code}: a part is paid in advance after a number of days")
    in_parts = claims.first_share < 1
    if not claims.first_share or (claims.rest_years is not None and not in_parts):
        raise Invalid("first_part_missing", f"{agreement.code}: a claim is paid whole, or a part at once and a rest")
    exchanged = claims.appeal_days or claims.interim_share or claims.answer_days is not None or in_parts
    if exchanged and agreement.contact is Contact.WE_CALL:
        raise Invalid(
            "partner_does_not_call", f"{agreement.code}: queries, appeals, interim payments need our own door"
        )


def _parties(agreement: Agreement) -> set[str]:
    ratios = (agreement.shares, *(layer.shares for layer in agreement.layers))
    return {share.party for shares in ratios for share in shares} | {agreement.partner_id}


def _digest(agreement: Agreement) -> str:
    """What was not agreed is left out, so a term that is added later leaves the digests of old versions alone."""
    terms = _plain(agreement)
    for name in ("drafted_by", "signatures", "digest"):
        terms.pop(name, None)
    return hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The value as JSON that says the same however a number was written, without what is as by default."""
    if dataclasses.is_dataclass(value):
        agreed = {part.name: getattr(value, part.name) for part in dataclasses.fields(value) if _agreed(value, part)}
        return {name: _plain(term) for name, term in agreed.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date) else value


def _agreed(terms: Any, part: dataclasses.Field[Any]) -> bool:
    factory = part.default_factory
    default = part.default if factory is dataclasses.MISSING else factory()
    return bool(getattr(terms, part.name) != default)
