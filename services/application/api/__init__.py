"""The door for people and systems: bodies are checked and handed to one command each, nothing is decided here."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.application import Figures, InspectionFinding, Profile, SecurityOffer
from libs.kernel.money import Money
from libs.runtime.auth import BANK
from libs.runtime.http import Day, Door, MoneyIn
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.reading import ReadDoor
from libs.runtime.tx import Tx
from services.application import views
from services.application.commands import decision, drawing, origination, people, servicing, workout
from services.application.domain.facility import Application
from services.application.domain.identity import Person
from services.application.domain.loan import Instalment
from services.application.domain.people import APPROVER, CUSTOMER_MANAGER, REVIEWER, Staff
from services.application.domain.review import Recommendation
from services.application.store import STAFF

router = APIRouter(prefix="/v1")

Id = Annotated[str, Field(min_length=1, max_length=64)]
Word = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
FacilityId = Annotated[str, Path(min_length=1, max_length=64)]
LoanId = Annotated[str, Path(min_length=1, max_length=64)]
StaffId = Annotated[str, Path(min_length=1, max_length=64)]


class Body(BaseModel):
    """Every request body: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class SignedMoneyIn(Body):
    """An amount that may be negative: a loss."""

    amount: Annotated[Decimal, Field(gt=Decimal("-1e12"), lt=Decimal("1e12"), decimal_places=2, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    def money(self) -> Money:
        """The amount as the domain knows it."""
        return Money(self.amount, self.currency)


class FiguresIn(Body):
    """A borrower's hard figures; only the profit may be negative."""

    annual_sales: MoneyIn
    annual_profit: SignedMoneyIn
    total_assets: MoneyIn
    total_liabilities: MoneyIn
    monthly_bank_inflow: MoneyIn
    monthly_tax_sales: MoneyIn

    def figures(self) -> Figures:
        """The figures as they travel in events."""
        return Figures(
            annual_sales=self.annual_sales.money(),
            annual_profit=self.annual_profit.money(),
            total_assets=self.total_assets.money(),
            total_liabilities=self.total_liabilities.money(),
            monthly_bank_inflow=self.monthly_bank_inflow.money(),
            monthly_tax_sales=self.monthly_tax_sales.money(),
        )


class StaffIn(Body):
    staff_id: Id
    branch: Word
    role: Word
    level: Word
    trained_until: Day


class BorrowerIn(Body):
    """Personal data, not shown by a representation."""

    name: Annotated[Text, Field(repr=False)]
    id_number: Annotated[Word, Field(repr=False)]
    phone: Annotated[Word, Field(repr=False)]


class ReferralIn(Body):
    external_ref: Id
    channel: Word
    branch: Word
    borrower: BorrowerIn
    consent: Literal[True]


class ProfileIn(Body):
    industry: Word
    region: Word
    employees: Annotated[int, Field(ge=0, le=10_000_000)]
    years_in_business: Annotated[Decimal, Field(ge=0, le=500, decimal_places=2, allow_inf_nan=False)]
    first_time_borrower: bool


class SecurityIn(Body):
    kind: Word
    declared_value: MoneyIn
    index_series: Word
    synthetic: bool = False


class ApplicationIn(Body):
    amount: MoneyIn
    tenor_months: Annotated[int, Field(ge=1, le=600)]
    annual_rate: Annotated[Decimal, Field(ge=0, lt=1, decimal_places=6, allow_inf_nan=False)]
    product: Word
    profile: ProfileIn
    declared: FiguresIn
    security: Annotated[list[SecurityIn], Field(max_length=20)]
    agreement: Annotated[str, Field(max_length=64)] = ""
    renews: Annotated[str, Field(max_length=64)] = ""
    lead: Id
    assistant: Id

    def application(self) -> Application:
        """What is applied for, as the domain knows it."""
        return Application(
            amount=self.amount.money(),
            tenor_months=self.tenor_months,
            annual_rate=self.annual_rate,
            product=self.product,
            profile=Profile(**self.profile.model_dump()),
            declared=self.declared.figures(),
            security=tuple(
                SecurityOffer(
                    kind=item.kind,
                    declared_value=item.declared_value.money(),
                    index_series=item.index_series,
                    synthetic=item.synthetic,
                )
                for item in self.security
            ),
            agreement=self.agreement,
            renews=self.renews,
        )


class FindingsIn(Body):
    figures: FiguresIn


class ReviewIn(Body):
    opinion: Annotated[str, Field(min_length=1, max_length=2000)]


class DecisionIn(Body):
    decision: Literal["approve", "refuse"]
    reasons: Annotated[list[Text], Field(max_length=20)] = []


class ContractIn(Body):
    contract_no: Word


class InstalmentIn(Body):
    due: Day
    principal: MoneyIn


class DrawdownIn(Body):
    amount: MoneyIn
    schedule: Annotated[list[InstalmentIn], Field(min_length=1, max_length=600)]


class RepaymentIn(Body):
    principal: MoneyIn
    interest: MoneyIn
    reference: Word


class FindingIn(Body):
    code: Word
    staff: Id
    evidence: Text


class InspectionIn(Body):
    findings: Annotated[list[FindingIn], Field(max_length=50)] = []


class WriteOffIn(Body):
    amount: MoneyIn


@router.post("/staff", status_code=201, response_model=Staff)
async def register_staff(body: StaffIn, door: Door) -> Response:
    """Enter an employee on the register, or a new role, level or training of one: then `If-Match` is needed (admin)."""
    door.require("admin")
    staff = Staff(**body.model_dump())
    return await door.overwrite(
        lambda tx: people.register_staff(tx, staff), keys=[staff_key(staff.staff_id)], owner=staff.branch, status=201
    )


@router.get("/staff/{staff_id}", response_model=Staff)
async def show_staff(staff_id: StaffId, door: ReadDoor) -> Response:
    """One employee's entry on the register (admin, auditor)."""
    door.require("admin", "auditor")
    return await door.query(lambda tx: tx.get(STAFF, staff_id), key=staff_key(staff_id))


@router.post("/referrals", status_code=201, response_model=origination.Referred)
async def receive_referral(body: ReferralIn, door: Door) -> Response:
    """A channel hands over a customer who consented; the facility is born (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    facility_id = door.new_id()
    person = Person(**body.borrower.model_dump())
    referral = origination.Referral(
        external_ref=body.external_ref, channel=body.channel, branch=body.branch, person=person
    )
    return await door.execute(
        lambda tx: origination.receive_referral(tx, door.keyring, facility_id, referral),
        keys=[facility_id],
        owner=body.branch,
        status=201,
    )


@router.post("/facilities/{facility_id}/application", status_code=201, response_model=origination.InvestigationState)
async def submit_application(facility_id: FacilityId, body: ApplicationIn, door: Door) -> Response:
    """Register what is applied for, and name the two investigators (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    return await door.execute(
        lambda tx: origination.submit_application(
            tx, facility_id, body.application(), lead=body.lead, assistant=body.assistant
        ),
        keys=[facility_id],
        status=201,
    )


@router.post("/facilities/{facility_id}/investigations", status_code=201, response_model=origination.InvestigationState)
async def file_investigation(facility_id: FacilityId, body: FindingsIn, door: Door) -> Response:
    """File sealed findings; the second filing reconciles or disputes them (the two investigators)."""
    door.require(CUSTOMER_MANAGER)
    figures = body.figures.figures()
    return await door.execute(
        lambda tx: origination.file_investigation(tx, facility_id, figures), keys=[facility_id], status=201
    )


@router.post("/facilities/{facility_id}/investigations/resolution", response_model=origination.InvestigationState)
async def resolve_investigation(facility_id: FacilityId, body: FindingsIn, door: Door) -> Response:
    """A third person settles findings that differ beyond tolerance (customer manager, reviewer)."""
    door.require(CUSTOMER_MANAGER, REVIEWER)
    figures = body.figures.figures()
    return await door.execute(
        lambda tx: origination.resolve_investigation(tx, facility_id, figures), keys=[facility_id]
    )


@router.post("/facilities/{facility_id}/review", response_model=Recommendation)
async def review_application(facility_id: FacilityId, body: ReviewIn, door: Door) -> Response:
    """Leave the reviewer's opinion on a complete file; answers with our recommendation (reviewer)."""
    door.require(REVIEWER)
    return await door.execute(lambda tx: decision.review_application(tx, facility_id, body.opinion), keys=[facility_id])


@router.post("/facilities/{facility_id}/decision", response_model=decision.Decided)
async def decide_application(facility_id: FacilityId, body: DecisionIn, door: Door) -> Response:
    """Approve within authority, or refuse with reasons (approver)."""
    door.require(APPROVER)
    decide = decision.approve_application if body.decision == "approve" else decision.refuse_application
    return await door.execute(lambda tx: decide(tx, facility_id, tuple(body.reasons)), keys=[facility_id])


@router.post("/facilities/{facility_id}/contract", status_code=201, response_model=drawing.Signed)
async def sign_contract(facility_id: FacilityId, body: ContractIn, door: Door) -> Response:
    """Report that the loan contract was signed (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    return await door.execute(
        lambda tx: drawing.sign_contract(tx, facility_id, body.contract_no), keys=[facility_id], status=201
    )


@router.post("/facilities/{facility_id}/drawdowns", status_code=201, response_model=drawing.Drawn)
async def request_drawdown(facility_id: FacilityId, body: DrawdownIn, door: Door) -> Response:
    """Ask to draw; core banking pays once every condition is met (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    schedule = tuple(Instalment(due=row.due, principal=row.principal.money()) for row in body.schedule)
    return await door.execute(
        lambda tx: drawing.request_drawdown(tx, facility_id, body.amount.money(), schedule),
        keys=[facility_id],
        status=201,
    )


@router.post("/facilities/{facility_id}/loans/{loan_id}/repayments", status_code=201, response_model=servicing.Account)
async def receive_repayment(facility_id: FacilityId, loan_id: LoanId, body: RepaymentIn, door: Door) -> Response:
    """Core banking reports a repayment; interest and principal apart (core bank)."""
    door.require("core_bank")
    return await door.execute(
        lambda tx: servicing.receive_repayment(
            tx, facility_id, loan_id, body.principal.money(), body.interest.money(), body.reference
        ),
        keys=[facility_id],
        status=201,
    )


@router.post(
    "/facilities/{facility_id}/loans/{loan_id}/inspections", status_code=201, response_model=servicing.Inspected
)
async def complete_inspection(facility_id: FacilityId, loan_id: LoanId, body: InspectionIn, door: Door) -> Response:
    """Report a post-loan inspection; no finding means all in order (inspector)."""
    door.require("inspector")
    findings = tuple(InspectionFinding(**finding.model_dump()) for finding in body.findings)
    return await door.execute(
        lambda tx: servicing.complete_inspection(tx, facility_id, loan_id, findings), keys=[facility_id], status=201
    )


@router.post("/facilities/{facility_id}/loans/{loan_id}/write-off", response_model=servicing.Account)
async def write_off_loan(facility_id: FacilityId, loan_id: LoanId, body: WriteOffIn, door: Door) -> Response:
    """Write the outstanding principal off once the case is determined (approver)."""
    door.require(APPROVER)
    return await door.execute(
        lambda tx: workout.write_off_loan(tx, facility_id, loan_id, body.amount.money()), keys=[facility_id]
    )


@router.get("/facilities", response_model=Page[views.FacilityRow])
async def list_facilities(door: ReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Facilities of the caller's branch and those below it, a page at a time in the order of ids. No personal data."""
    door.require(*BANK)
    place, reach = after(cursor), door.caller.reach

    async def read(tx: Tx) -> Page[views.FacilityRow]:
        return page(await views.facilities(tx, place, limit + 1, reach), limit, lambda row: row.facility_id)

    return await door.query(read)


@router.get("/facilities/{facility_id}", response_model=views.FacilityView)
async def show_facility(facility_id: FacilityId, door: ReadDoor) -> Response:
    """One facility's file: application, facts of the other services, decision. No personal data."""
    door.require(*BANK)
    return await door.query(lambda tx: views.facility_file(tx, facility_id), key=facility_id)


@router.get("/loans/{loan_id}", response_model=views.LoanView)
async def show_loan(loan_id: LoanId, door: ReadDoor) -> Response:
    """One loan's account: schedule, arrears, class, provision, loss and recovery."""
    door.require(*BANK)
    return await door.query(
        lambda tx: views.loan_account(tx, loan_id), key=lambda tx: views.facility_of_loan(tx, loan_id)
    )


@router.get("/portfolio", response_model=views.Portfolios)
async def show_portfolio(door: ReadDoor) -> Response:
    """Sums by currency over the caller's branch and those below it: granted, paid out, outstanding, lost, provision."""
    door.require(*BANK)
    reach = door.caller.reach
    return await door.query(lambda tx: views.portfolio(tx, reach))


def staff_key(staff_id: str) -> str:
    """The key under which an entry of the staff register is kept: no facility has its name."""
    return f"staff/{staff_id}"
