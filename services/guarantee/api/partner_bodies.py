"""What partners send to guarantee, within bounds."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.runtime.http import Day, MoneyIn
from services.guarantee.api.bodies import Code, ExposureIn, Text, Word, Words
from services.guarantee.commands.partner_answers import Confirmation
from services.guarantee.domain.cover import CoverAnswer


class Answering(BaseModel):
    """A yes, or a no with its reason."""

    model_config = ConfigDict(extra="forbid")

    accepted: bool
    reason: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,39})?$", description="a code; needed for a no")] = ""

    @model_validator(mode="after")
    def _reasoned(self) -> "Answering":
        if self.accepted == bool(self.reason):
            raise ValueError("a no needs a reason, a yes has none")
        return self


class Deciding(Answering):
    """The decision on a claim, and the day it was taken; an insurer's refusal is told within the days law sets."""

    decided_on: Day | None = None


class CoverAnswerIn(Answering):
    """The answer to a cover request: how much is guaranteed (needed where the answer names it), on which conditions."""

    cover_id: Code
    guaranteed: MoneyIn | None = None
    conditions: Words = ()

    def answer(self) -> CoverAnswer:
        """The answer as the domain knows it."""
        guaranteed = None if self.guaranteed is None else self.guaranteed.money()
        return CoverAnswer(
            accepted=self.accepted, guaranteed=guaranteed, reason=self.reason, conditions=self.conditions
        )


class ConfirmationIn(Answering):
    """The partner's word on one filed drawdown; a no strikes it off the list."""

    facility_id: Code
    loan_id: Code

    def confirmation(self) -> Confirmation:
        """The word as the commands know it."""
        return Confirmation(facility_id=self.facility_id, loan_id=self.loan_id, removed_for=self.reason)


class ConfirmationsIn(BaseModel):
    """A batch: each row is decided for itself. At most `BULK_ROWS_MAX` rows."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[list[ConfirmationIn], Field(min_length=1)]


class ExposuresIn(BaseModel):
    """What a partner guarantees elsewhere, a row per obligor. At most `BULK_ROWS_MAX` rows."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[list[ExposureIn], Field(min_length=1)]


class QueryIn(BaseModel):
    """What the partner needs before it decides on a claim, by code."""

    model_config = ConfigDict(extra="forbid")

    asked: Annotated[list[Word], Field(min_length=1, max_length=50)]


class PaymentKind(StrEnum):
    """Whether more follows (`interim`), or what was left of the claim was paid."""

    INTERIM = "interim"
    FINAL = "final"


class PaymentIn(BaseModel):
    """Money that the partner paid to the bank on a claim."""

    model_config = ConfigDict(extra="forbid")

    kind: PaymentKind = PaymentKind.FINAL
    amount: MoneyIn
    receipt: Text


class RecoveryIn(BaseModel):
    """Money that the partner recovered on a loan after it paid the claim."""

    model_config = ConfigDict(extra="forbid")

    loan_id: Code
    amount: MoneyIn
    receipt: Text
