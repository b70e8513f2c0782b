"""What the bank's people send to guarantee about one facility, within bounds."""

from pydantic import BaseModel, ConfigDict

from libs.runtime.http import MoneyIn
from services.guarantee.api.bodies import Code, Text


class PremiumPaymentIn(BaseModel):
    """A premium that was paid."""

    model_config = ConfigDict(extra="forbid")

    amount: MoneyIn


class FilingIn(BaseModel):
    """The batch drawdown that was put on the partner's list."""

    model_config = ConfigDict(extra="forbid")

    loan_id: Code


class DisbursementNoticeIn(BaseModel):
    """The guarantor's disbursement notice, by its number."""

    model_config = ConfigDict(extra="forbid")

    number: Text


class ReimbursementIn(BaseModel):
    """Money that a party behind the partner gave it for a claim it had paid."""

    model_config = ConfigDict(extra="forbid")

    party: Code
    amount: MoneyIn
    receipt: Text
