"""A client generated from the committed document, untouched by hand, lives a cover's whole life as bank and partner."""

from __future__ import annotations

import importlib
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, SCOPES
from tests.guarantee.stories import CLAIM_DAY, DAY, DUE, PARTNER, Story
from tests.harness.bench import Bench
from tests.house.rules import ROOT

PACKAGE = "silverbear_guarantee"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, made by the tool that a partner's engineer would take."""
    folder = tmp_path_factory.mktemp("client")
    settings = folder / "settings.yaml"
    # It would only be formatted; and of lists it can send CSV as bytes.
    settings.write_text("post_hooks: []\ncontent_type_overrides:\n  text/csv: application/octet-stream\n")
    made = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "openapi-python-client"), "generate", "--meta", "none"),
            *("--path", str(ROOT / "docs" / "openapi" / "guarantee.json")),
            *("--output-path", str(folder / PACKAGE), "--config", str(settings), "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))


class Generated:
    """The client in somebody's hands: `await client("answer_cover", "CoverAnswerIn", {...}, facility_id=…)`."""

    def __init__(self, folder: Path, b: Bench, token: str) -> None:
        self._modules = {
            path.stem.partition("_v1_")[0]: path.stem for path in (folder / "api" / "default").glob("*.py")
        }
        made = self._module("client").AuthenticatedClient(base_url="http://service", token=token)
        transport = httpx.ASGITransport(app=b.service.app)
        headers = {"authorization": f"Bearer {token}"}
        self._client = made.set_async_httpx_client(
            httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)
        )

    async def __call__(
        self, operation: str, body: str = "", fields: Any = None, status: int = 200, **words: Any
    ) -> Any:
        """Call one operation and return what the client made of the answer."""
        module = self._module(f"api.default.{self._modules[operation]}")
        if body:
            words["body"] = getattr(self._module("models"), body).from_dict(fields)
            words["idempotency_key"] = str(uuid.uuid4())
        answer = await module.asyncio_detailed(client=self._client, **words)
        assert answer.status_code == status, answer.content
        return answer.parsed

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{name}")  # noqa: TID251 - it is not there before the test


async def test_a_cover_lives_from_the_agreement_to_the_recovery_over_the_generated_client(
    bench: Callable[..., Bench], generated: Path
) -> None:
    story, there = Story(), {"facility_id": Story().facility_id}
    async with bench(service) as b:
        await b.open(DAY)
        admin, drafter = (Generated(generated, b, b.issuer.token(name, "admin", level="head office")) for name in "ab")
        own = Generated(generated, b, b.issuer.token("system", "partner", party=OWN_PARTY, scope=" ".join(SCOPES)))
        await admin("admit_partner", "PartnerIn", PARTNER, status=201)
        version = await drafter("admit_agreement", "AgreementIn", CALLING, status=201)
        for client, party in ((admin, "bank"), (own, OWN_PARTY)):
            signature = {"party": party, "effective": CALLING["effective"], "digest": version.digest}
            await client("sign_agreement", "SignatureIn", signature, code=CALLING["code"])
        hook = await own("register_webhook", "EndpointIn", {"url": "https://partner/"}, 201, partner_id=OWN_PARTY)
        assert hook.secret.startswith("whsec_")

        await b.react(story.submitted(), story.rated(), on=DAY)
        (asked,) = (await own("list_cover_requests")).items
        answer = {"cover_id": asked.cover_id, "accepted": True}
        assert (await own("answer_cover", "CoverAnswerIn", answer, **there)).state == "bound"
        await b.react(story.disbursed(), on=DAY)
        await b.open(DUE)
        await b.react(story.overdue("100000"), on=date.fromordinal(DUE.toordinal() + 1))
        await b.tick(CLAIM_DAY)

        (claim,) = (await own("show_facility", **there)).claims
        at = {**there, "claim_id": claim.claim_id}
        assert (await own("decide_claim", "Deciding", {"accepted": True}, **at)).state == "accepted"
        receipt = {"amount": claim.claimed.to_dict(), "receipt": "R-1"}
        assert (await own("report_payment", "PaymentIn", receipt, **at)).state == "paid"
        recovered = {"loan_id": story.loan_id, "amount": {"amount": "1000.00", "currency": "CNY"}, "receipt": "R-2"}
        await own("report_recovery", "RecoveryIn", recovered, **there)

        page = await own("list_partner_events", limit=5)
        told = [item.type_ for item in page.items]
        while page.more:
            page = await own("list_partner_events", limit=5, cursor=page.next_)
            told += [item.type_ for item in page.items]
        names = [name.rpartition(".")[0] for name in told]
        assert [names[0], *names[2:4], *names[-3:]] == [
            *("cover.requested", "cover.bound", "cover.activated", "claim.accepted", "claim.paid", "recovery.shared")
        ]
        refused = await own("decide_claim", "Deciding", {"accepted": True}, status=409, **at)
        assert refused.code == "claim_paid"
