"""Guarantee's door for people and systems: bodies are checked here, decided in the commands."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.guarantee import ShareOf
from libs.runtime.auth import BANK, PARTNER
from libs.runtime.http import Day, Door, MoneyIn
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee import views
from services.guarantee.commands import agreements, covers
from services.guarantee.domain.agreement import Agreement, Partner, ShareSource
from services.guarantee.domain.cover import Cover

router = APIRouter(prefix="/v1")

CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Code = Annotated[str, Field(pattern=CODE)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
InPath = Annotated[str, Path(pattern=CODE)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Fraction = Annotated[Decimal, Field(ge=0, le=1, decimal_places=6, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=0, le=3650)]


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


class AgreementIn(BaseModel):
    """An agreement to admit; for `share_source` "answer" leave `shares` out: the partner names what it guarantees."""

    model_config = ConfigDict(extra="forbid")

    code: Code
    partner_id: Code
    kind: Word
    share_source: ShareSource
    shares: Annotated[list[ShareIn], Field(max_length=20)] = []
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

    def agreement(self) -> Agreement:
        """The agreement as the domain knows it; raises Invalid when its terms contradict each other."""
        return Agreement(
            code=self.code,
            partner_id=self.partner_id,
            kind=self.kind,
            share_source=self.share_source,
            shares=tuple(ShareOf(party=share.party, weight=share.weight) for share in self.shares),
            share_max=self.share_max,
            currency=self.capacity.currency,
            grades=tuple(self.grades),
            bank_share_min=self.bank_share_min,
            premium_rate=self.premium_rate,
            premium_payer=self.premium_payer,
            claim_wait_days=self.claim_wait_days,
            pay_working_days=self.pay_working_days,
            effective=self.effective,
            source=self.source,
        )


class PremiumPaymentIn(BaseModel):
    """A premium that was paid."""

    model_config = ConfigDict(extra="forbid")

    amount: MoneyIn


@router.post("/partners", status_code=201, response_model=Partner)
async def admit_partner(body: PartnerIn, door: Door) -> Response:
    """Admit a partner (admin)."""
    door.require("admin")
    partner = Partner(partner_id=body.partner_id, name=body.name, kind=body.kind)
    return await door.execute(lambda tx: agreements.admit_partner(tx, partner), keys=[body.partner_id], status=201)


@router.post("/agreements", status_code=201, response_model=Agreement)
async def admit_agreement(body: AgreementIn, door: Door) -> Response:
    """Admit an agreement with an admitted partner and open its capacity (admin)."""
    door.require("admin")
    return await door.execute(
        lambda tx: agreements.admit_agreement(tx, body.agreement(), body.capacity.money()), keys=[body.code], status=201
    )


@router.get("/agreements", response_model=Page[views.AgreementView])
async def list_agreements(door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Agreements by code, with what is left of each capacity; a partner's own only."""
    door.require(*BANK, PARTNER)
    place, party = after(cursor), door.caller.party

    async def read(tx: Tx) -> Page[views.AgreementView]:
        rows = await views.agreements(tx, place, limit + 1, party)
        return page(rows, limit, lambda row: row.agreement.code)

    return await door.query(read)


@router.get("/agreements/{code}", response_model=views.AgreementView)
async def show_agreement(code: InPath, door: PartnerReadDoor) -> Response:
    """One agreement with what is left of its capacity; a partner's own only."""
    door.require(*BANK, PARTNER)
    return await door.query(lambda tx: views.agreement(tx, code, door.caller.party))


@router.post("/facilities/{facility_id}/premium-payments", response_model=Cover)
async def pay_premium(facility_id: InPath, body: PremiumPaymentIn, door: Door) -> Response:
    """Core banking reports that a premium was paid, exactly as due (core_bank)."""
    door.require("core_bank")
    return await door.execute(lambda tx: covers.pay_premium(tx, facility_id, body.amount.money()), keys=[facility_id])


@router.get("/facilities/{facility_id}", response_model=views.FacilityView)
async def show_facility(facility_id: InPath, door: PartnerReadDoor) -> Response:
    """A facility's cover, its loans and claims; a partner's only where the cover is that partner's."""
    door.require(*BANK, PARTNER)
    return await door.query(lambda tx: views.facility(tx, facility_id, door.caller.party), key=facility_id)
