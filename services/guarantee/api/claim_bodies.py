"""What the bank's people send to guarantee about a loss: notice, claim, evidence, answer, appeal."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from libs.runtime.http import MoneyIn
from services.guarantee.api.bodies import Code, Text, Word, Words
from services.guarantee.domain.claim_rules import Demand, Evidence
from services.guarantee.domain.sharing import Loss


class EvidenceIn(BaseModel):
    """A document with a claim: what it is, where it lies, and the SHA-256 of its bytes."""

    model_config = ConfigDict(extra="forbid")

    kind: Code
    reference: Text
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    def evidence(self) -> Evidence:
        """The document as the domain knows it."""
        return Evidence(kind=self.kind, reference=self.reference, digest=self.digest)


Documents = Annotated[list[EvidenceIn], Field(max_length=50)]


class ClaimIn(BaseModel):
    """A claim a person files: of whom, for which loss, how much of them, with which documents."""

    model_config = ConfigDict(extra="forbid")

    loan_id: Code
    partner: Code
    principal: MoneyIn
    interest: MoneyIn
    penalty: MoneyIn | None = None
    cost: MoneyIn | None = None
    claimed: MoneyIn
    documents: Words = ()
    evidence: Documents = []

    def demand(self) -> Demand:
        """The claim as the domain knows it."""
        none = self.principal.money().zero
        loss = Loss(
            principal=self.principal.money(),
            interest=self.interest.money(),
            penalty=none if self.penalty is None else self.penalty.money(),
            cost=none if self.cost is None else self.cost.money(),
        )
        return Demand(
            partner=self.partner,
            loss=loss,
            claimed=self.claimed.money(),
            documents=self.documents,
            evidence=tuple(document.evidence() for document in self.evidence),
        )


class ClaimAnswerIn(BaseModel):
    """The bank's answer to a partner's query."""

    model_config = ConfigDict(extra="forbid")

    evidence: Annotated[list[EvidenceIn], Field(min_length=1, max_length=50)]


class AppealIn(BaseModel):
    """The bank's appeal against a denial, with its grounds by code and what proves them."""

    model_config = ConfigDict(extra="forbid")

    grounds: Annotated[list[Word], Field(min_length=1, max_length=20)]
    evidence: Documents = []


class LossNoticeIn(BaseModel):
    """The covered loan that is in arrears."""

    model_config = ConfigDict(extra="forbid")

    loan_id: Code
