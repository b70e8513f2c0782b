"""What callers send to guarantee, within bounds, and how the domain knows it."""

from decimal import Decimal
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from libs.events.guarantee import LayerOf, ShareOf
from libs.runtime.http import Day, MoneyIn
from services.guarantee.domain import terms
from services.guarantee.domain.agreement import Agreement, ShareSource, version_ref
from services.guarantee.domain.capacity import Exposure
from services.guarantee.domain.contribution import check_word
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.undertaking import UndertakingKind

CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Code = Annotated[str, Field(pattern=CODE)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
InPath = Annotated[str, Path(pattern=CODE)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Fraction = Annotated[Decimal, Field(ge=0, le=1, decimal_places=6, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=0, le=3650)]
Ratio = Annotated[Decimal, Field(gt=0, le=100, decimal_places=6, allow_inf_nan=False)]
Months = Annotated[int, Field(ge=0, le=600)]
Amount = Annotated[Decimal, Field(ge=0, lt=Decimal("1e12"), decimal_places=2, allow_inf_nan=False)]
Words = Annotated[tuple[Code, ...], Field(max_length=50)]


class PartnerIn(BaseModel):
    """A partner to admit."""

    model_config = ConfigDict(extra="forbid")

    partner_id: Code
    name: Text
    kind: Word


class ShareIn(BaseModel):
    """One party's weight in a loss; `bank` is the bank itself."""

    model_config = ConfigDict(extra="forbid")

    party: Code
    weight: Annotated[Decimal, Field(gt=0, lt=Decimal("1e12"), decimal_places=6, allow_inf_nan=False)]


Shares = Annotated[list[ShareIn], Field(max_length=20)]


class Terms(BaseModel):
    """Terms of an agreement as a caller writes them: the same words as in the domain, within bounds."""

    model_config = ConfigDict(extra="forbid")


class LayerIn(Terms):
    """A slice of the loss from the end of the one before to `up_to` of the covered amount."""

    up_to: Fraction
    shares: Shares


class CoverageIn(Terms):
    """Which share of each component is covered; interest up to a cut-off in days."""

    principal: Fraction = Decimal(1)
    interest: Fraction = Decimal(0)
    penalty: Fraction = Decimal(0)
    cost: Fraction = Decimal(0)
    interest_days_max: Days = 0
    interest_year_days: Annotated[int, Field(ge=360, le=366)] = 360
    ceiling: Fraction | None = None


class EligibilityIn(Terms):
    """Which loans may be covered; what is left out admits all."""

    amount_max: Amount | None = None
    tenor_months_max: Months | None = None
    rate_max: Fraction | None = None
    industries: Words = ()
    size_classes: Words = ()
    products: Words = ()
    territory: Words = ()
    first_not_rollover: bool = False


class BindingIn(Terms):
    """How a cover comes about."""

    timing: terms.BindTiming = terms.BindTiming.BEFORE_APPROVAL
    file_days: Days = 0
    confirm_days: Days = 0
    hold_days: Days = 0
    drawdowns_max: Annotated[int, Field(ge=1, le=1000)] = 1
    quoted: bool = False
    before_disbursement: bool = False
    notice: bool = False


class LimitsIn(Terms):
    """The most of one loan, for one obligor and one group over all banks, and newly in one year."""

    cover_max: Amount | None = None
    obligor_max: Amount | None = None
    group_max: Amount | None = None
    year_max: Amount | None = None


class ClaimRulesIn(Terms):
    """When a claim may be filed, and with what."""

    maturity_wait_days: Days | None = None
    lock_in_months: Months = 0
    file_days_max: Days | None = None
    documents: Words = ()
    in_suspension: terms.InSuspension = terms.InSuspension.PAID
    notice_days: Days | None = None
    decide_days: Days | None = None
    answer_days: Days | None = None
    appeal_days: Days = 0
    interim_days: Days | None = None
    interim_share: Fraction = Decimal(0)
    first_share: Fraction = Decimal(1)
    rest_years: Annotated[int, Field(ge=0, le=50)] | None = None


class GuarantorsIn(Terms):
    """What guarantors stand for towards the bank, as fractions of the loan: all, the borrower's own side, others."""

    total_min: Fraction = Decimal(0)
    own_min: Fraction = Decimal(0)
    others_min: Fraction = Decimal(0)


class LiabilityIn(Terms):
    """The guarantor's liability, its period, and what follows a payment."""

    kind: terms.LiabilityKind = terms.LiabilityKind.JOINT
    period_months: Months | None = None
    enforcement_order: Words = ()
    contribution: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    subrogation: terms.Subrogation = terms.Subrogation.PAID_PART
    recovery_lead: Code = BANK
    recovery_rank: terms.RecoveryRank = terms.RecoveryRank.PARI_PASSU
    undertakings: Annotated[tuple[UndertakingKind, ...], Field(max_length=10)] = ()
    guarantors: GuarantorsIn | None = None


class DutiesIn(Terms):
    """What the partner may hold against a claim besides its dates."""

    perfection: bool = False
    use_of_funds: bool = False
    premium: bool = False


class CapIn(Terms):
    """A compensation-rate cap; `excess` names who bears what is above it, the bank if nobody."""

    rate: Fraction
    base: terms.CapBase = terms.CapBase.DISBURSED
    count: terms.CapCount = terms.CapCount.PAID
    period: terms.CapPeriod = terms.CapPeriod.COHORT
    excess: Shares = []


class TriggerIn(Terms):
    """From `warn_at` on the partner is warned and throttled, at `suspend_at` suspended."""

    measure: terms.Measure
    suspend_at: Ratio
    warn_at: Ratio | None = None
    throttle_to: Fraction = Decimal(1)
    reinstate_at: Ratio | None = None


class PayoutCapIn(Terms):
    """In a year partners pay at most so many times what came to them in the year before; what crossing it costs."""

    multiple: Ratio
    surcharge: Fraction = Decimal(0)
    crossings: Annotated[int, Field(ge=0, le=50)] = 0
    years: Annotated[int, Field(ge=0, le=50)] = 0


class PremiumRulesIn(Terms):
    """How premiums are charged, refunded and subsidised."""

    every_months: Months = 0
    refund: Fraction = Decimal(0)
    subsidy: Fraction = Decimal(0)
    subsidised_by: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""


class ArrearsTriggerIn(Terms):
    """As a trigger, on what those behind the direct payer owe it past its day."""

    suspend_at: Ratio
    warn_at: Ratio | None = None
    throttle_to: Fraction = Decimal(1)
    reinstate_at: Fraction | None = None


class UseTriggerIn(Terms):
    """As a trigger, on what covers hold of the capacity."""

    suspend_at: Fraction
    warn_at: Fraction | None = None
    throttle_to: Fraction = Decimal(1)
    reinstate_at: Fraction | None = None


class LegIn(Terms):
    """A party behind the direct payer, its days to reimburse, and the proof it is shown."""

    party: Code
    working_days: Annotated[int, Field(ge=0, le=365)]
    proof: Text


class AgreementIn(BaseModel):
    """A version of an agreement to admit: the code and its first day name it, and it counts once both sides signed.

    For `share_source` "answer" leave `shares` out: the partner names what it guarantees. Terms left out are not agreed.
    """

    model_config = ConfigDict(extra="forbid")

    code: Code
    partner_id: Code
    kind: Word
    share_source: ShareSource
    shares: Shares = []
    layers: Annotated[list[LayerIn], Field(max_length=10)] = []
    direct: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    legs: Annotated[list[LegIn], Field(max_length=10)] = []
    share_max: Fraction
    capacity: MoneyIn
    grades: Annotated[list[Text], Field(min_length=1, max_length=50)]
    bank_share_min: Fraction
    premium_rate: Fraction
    premium_payer: Word
    claim_wait_days: Days
    pay_working_days: Days
    effective: Day
    source: Text
    coverage: CoverageIn = CoverageIn()
    eligibility: EligibilityIn = EligibilityIn()
    binding: BindingIn = BindingIn()
    limits: LimitsIn = LimitsIn()
    claims: ClaimRulesIn = ClaimRulesIn()
    liability: LiabilityIn = LiabilityIn()
    duties: DutiesIn = DutiesIn()
    cap: CapIn | None = None
    triggers: Annotated[list[TriggerIn], Field(max_length=5)] = []
    arrears: ArrearsTriggerIn | None = None
    use: UseTriggerIn | None = None
    adopting: terms.Adopting = terms.Adopting.EVERY_BRANCH
    contact: terms.Contact = terms.Contact.WE_CALL
    premium_product: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    premium_rate_max: Fraction | None = None
    premiums: PremiumRulesIn = PremiumRulesIn()
    payout: PayoutCapIn | None = None

    def agreement(self, drafted_by: str) -> Agreement:
        """The agreement as the domain knows it; raises Invalid when its terms contradict each other."""
        return Agreement(
            ref=version_ref(self.code, self.effective),
            code=self.code,
            partner_id=self.partner_id,
            kind=self.kind,
            share_source=self.share_source,
            shares=_shares(self.shares),
            layers=tuple(LayerOf(up_to=layer.up_to, shares=_shares(layer.shares)) for layer in self.layers),
            direct=self.direct,
            legs=tuple(terms.Leg(**leg.model_dump()) for leg in self.legs),
            share_max=self.share_max,
            currency=self.capacity.currency,
            capacity=self.capacity.money(),
            grades=tuple(self.grades),
            bank_share_min=self.bank_share_min,
            premium_rate=self.premium_rate,
            premium_payer=self.premium_payer,
            claim_wait_days=self.claim_wait_days,
            pay_working_days=self.pay_working_days,
            effective=self.effective,
            source=self.source,
            coverage=terms.Coverage(**self.coverage.model_dump()),
            eligibility=terms.Eligibility(**self.eligibility.model_dump()),
            binding=terms.Binding(**self.binding.model_dump()),
            limits=terms.Limits(**self.limits.model_dump()),
            claims=terms.ClaimRules(**self.claims.model_dump()),
            liability=_liability(self.liability),
            duties=terms.Duties(**self.duties.model_dump()),
            cap=None if self.cap is None else _cap(self.cap),
            triggers=tuple(terms.Trigger(**trigger.model_dump()) for trigger in self.triggers),
            arrears=None if self.arrears is None else terms.ArrearsTrigger(**self.arrears.model_dump()),
            use=None if self.use is None else terms.UseTrigger(**self.use.model_dump()),
            adopting=self.adopting,
            contact=self.contact,
            premium_product=self.premium_product,
            premium_rate_max=self.premium_rate_max,
            premiums=terms.PremiumRules(**self.premiums.model_dump()),
            payout=None if self.payout is None else terms.PayoutCap(**self.payout.model_dump()),
            drafted_by=drafted_by,
        )


def _shares(shares: list[ShareIn]) -> tuple[ShareOf, ...]:
    return tuple(ShareOf(party=share.party, weight=share.weight) for share in shares)


def _liability(liability: LiabilityIn) -> terms.Liability:
    """The model's parts as the domain knows them."""
    check_word(liability.contribution)
    guarantors = None if liability.guarantors is None else terms.Guarantors(**liability.guarantors.model_dump())
    return terms.Liability(**{**liability.model_dump(), "guarantors": guarantors})


def _cap(cap: CapIn) -> terms.Cap:
    return terms.Cap(rate=cap.rate, base=cap.base, count=cap.count, period=cap.period, excess=_shares(cap.excess))


class SignatureIn(BaseModel):
    """A signature under the terms that have this digest: the bank's (`bank`) or the partner's."""

    model_config = ConfigDict(extra="forbid")

    party: Code

    effective: Day
    digest: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]+$")]


class AdoptionIn(BaseModel):
    """A branch's own limits under an agreement; grades left out are the agreement's."""

    model_config = ConfigDict(extra="forbid")

    branch: Code
    capacity: MoneyIn
    amount_max: MoneyIn | None = None
    grades: Annotated[list[Text], Field(min_length=1, max_length=50)]


class ReasonIn(BaseModel):
    """Why an agreement is suspended or reinstated, as a code."""

    model_config = ConfigDict(extra="forbid")

    reason: Word


class StandingIn(BaseModel):
    """A partner's own figures as of a day: net assets, and its weighted guarantee balance at other banks."""

    model_config = ConfigDict(extra="forbid")

    as_of: Day
    net_assets: MoneyIn
    outside: MoneyIn
    mainly_small: bool = False


class ExposureIn(BaseModel):
    """What a partner guarantees for one obligor at other banks as of a day, and the group it counts him to."""

    model_config = ConfigDict(extra="forbid")

    as_of: Day
    obligor: Code
    related_group: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    outside: MoneyIn

    def exposure(self, partner_id: str) -> Exposure:
        """What `partner_id` reports, as the domain knows it."""
        return Exposure(
            exposure_id=f"{partner_id}/{self.obligor}",
            partner_id=partner_id,
            obligor=self.obligor,
            related_group=self.related_group,
            currency=self.outside.currency,
            outside=self.outside.money(),
            as_of=self.as_of,
        )
