"""Personal data through the real doors on real PostgreSQL: sealed at rest, told by consent, recorded, erased by key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from libs.events.application import ConsentGranted, ConsentRevoked
from libs.runtime.keyring import Keyring, add_master_key
from services.application.main import service
from tests.application.story import PLANTED, TODAY, Story, schedule
from tests.harness.bench import Bench
from tests.harness.leaks import Place, leaks, rows_of


async def consented(story: Story, **changes: Any) -> str:
    """A separate consent: two purposes, one partner."""
    body = {"purposes": ["claim", "insurance_underwriting"], "partners": ["insurer"], **changes}
    consent_id: str = (await story.done("consents", body, role="customer_manager", actor="li"))["consent_id"]
    return consent_id


async def ask(story: Story, consent_id: str, **changes: str) -> httpx.Response:
    """Ask who the borrower is, to pay a claim, for the insurer."""
    asked = {"facility_id": story.facility_id, "consent_id": consent_id, "purpose": "claim", "partner": "insurer"}
    return await story.bench.post(
        "/v1/identity-disclosures", {**asked, **changes}, role="identity_reader", actor="guarantee"
    )


async def record(story: Story) -> list[dict[str, Any]]:
    """The record of disclosures as the privacy officer sees it."""
    answer = await story.bench.get("/v1/identity-disclosures", role="privacy_officer")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def revoke(story: Story, consent_id: str) -> dict[str, Any]:
    return await story.done(f"consents/{consent_id}/revocation", {}, role="privacy_officer", actor="po")


async def erase(story: Story) -> httpx.Response:
    return await story.post("borrower/erasure", {}, role="privacy_officer", actor="po")


async def dump(story: Story) -> list[Place]:
    async with story.bench.parts.engine.connect() as conn:
        return [row async for row in rows_of(conn, "application")]


async def test_a_purpose_opens_its_fields_and_both_answers_are_recorded_masked(story: Story) -> None:
    await story.begin()
    consent_id = await consented(story)
    told = await ask(story, consent_id)
    assert (told.status_code, told.headers["cache-control"]) == (201, "no-store")
    assert told.json()["fields"] == {"name": PLANTED["name"], "id_number": PLANTED["id_number"]}
    assert told.json()["policy"] == "application/identity@2025-07-01"
    wider = await ask(story, consent_id, purpose="insurance_underwriting")
    assert wider.json()["fields"] == PLANTED
    refused = await ask(story, consent_id, partner="another")
    assert (refused.status_code, refused.json()["code"]) == (403, "partner_not_consented")
    unknown = await ask(story, consent_id, facility_id="nowhere")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    lines = await record(story)
    assert [(line["purpose"], line["partner"], line["fields"], line["refused"]) for line in lines] == [
        ("claim", "insurer", ["name", "id_number"], ""),
        ("insurance_underwriting", "insurer", ["name", "id_number", "phone"], ""),
        ("claim", "another", [], "partner_not_consented"),
        ("claim", "insurer", [], "not_found"),
    ]
    assert {(line["asked_by"], line["asked_org"], line["asked_on"]) for line in lines} == {
        ("guarantee", "b1", TODAY.isoformat())
    }
    assert lines[0]["masked"] == {
        "name": "P*",
        "id_number": "PLAN" + "*" * 22 + "234",
        "phone": "PLA" + "*" * 18 + "1111",
    }
    assert lines[3]["masked"] == {}
    assert lines[0]["disclosure_id"] == told.json()["disclosure_id"]
    assert not leaks([("record", json.dumps(lines).encode())], PLANTED.values())


async def test_pages_of_the_record_meet_without_a_gap(story: Story) -> None:
    await story.begin()
    for _ in range(3):
        await ask(story, story.consent_id)
    seen, after = [], ""
    for _ in range(4):
        answer = await story.bench.get(f"/v1/identity-disclosures?limit=1&cursor={after}", role="privacy_officer")
        seen += [line["disclosure_id"] for line in answer.json()["items"]]
        after = answer.json()["next"]
        if not after:
            break
    assert seen == [line["disclosure_id"] for line in await record(story)]
    assert len(seen) == 3


async def test_the_consent_of_a_referral_opens_nothing_to_a_partner(story: Story) -> None:
    await story.begin()
    granted = (await story.bench.published())[-1]
    assert isinstance(granted, ConsentGranted)
    assert (granted.consent_id, granted.purposes, granted.partners) == (
        story.consent_id,
        ("credit_assessment",),
        (),
    )
    refused = await ask(story, story.consent_id, purpose="credit_assessment")
    assert (refused.status_code, refused.json()["code"]) == (403, "partner_not_consented")


async def test_a_withdrawn_consent_closes_the_door_and_is_withdrawn_once(story: Story) -> None:
    await story.begin()
    consent_id = await consented(story)
    assert (await ask(story, consent_id)).status_code == 201
    assert (await revoke(story, consent_id))["revoked_on"] == TODAY.isoformat()
    assert isinstance((await story.bench.published())[-1], ConsentRevoked)
    refused = await ask(story, consent_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_revoked")
    again = await story.post(f"consents/{consent_id}/revocation", {}, role="privacy_officer", actor="po")
    assert (again.status_code, again.json()["code"]) == (409, "consent_revoked")
    other = await story.bench.post(
        f"/v1/facilities/other/consents/{consent_id}/revocation", {}, role="privacy_officer", actor="po"
    )
    assert other.status_code == 404
    shown = (await story.bench.get(f"/v1/facilities/{story.facility_id}/borrower", role="privacy_officer")).json()
    assert {consent["consent_id"]: consent["revoked_on"] for consent in shown["consents"]} == {
        story.consent_id: None,
        consent_id: TODAY.isoformat(),
    }


async def test_a_disclosure_and_a_withdrawal_at_once_are_one_after_the_other(story: Story) -> None:
    await story.begin()
    consent_id = await consented(story)
    asked = [ask(story, consent_id) for _ in range(10)]
    _, *answers = await asyncio.gather(revoke(story, consent_id), *asked)
    assert {answer.status_code for answer in answers} <= {201, 409}
    lines = await record(story)
    refused = [bool(line["refused"]) for line in sorted(lines, key=lambda line: line["at"])]
    assert len(lines) == 10
    assert refused == sorted(refused)  # nothing was told after the first refusal


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purposes": ["curiosity"]}, "purpose_unknown"),
        ({"valid_until": "2025-09-07"}, "consent_days_invalid"),
        ({"valid_until": "2030-09-09"}, "consent_days_invalid"),
        ({"purposes": []}, "invalid_request"),
    ],
)
async def test_a_consent_outside_the_policy_is_not_recorded(story: Story, changes: dict[str, Any], code: str) -> None:
    await story.begin()
    body = {"purposes": ["claim"], "partners": ["insurer"], **changes}
    answer = await story.post("consents", body, role="customer_manager", actor="li")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_repeated_question_is_recorded_again_and_its_answer_kept_nowhere(story: Story) -> None:
    await story.begin()
    consent_id = await consented(story)
    body = {"facility_id": story.facility_id, "consent_id": consent_id, "purpose": "claim", "partner": "insurer"}
    for _ in range(2):
        told = await story.bench.post("/v1/identity-disclosures", body, role="identity_reader", key="the same")
        assert (told.status_code, "idempotency-replayed" in told.headers) == (201, False)
    assert len(await record(story)) == 2
    assert not leaks(await dump(story), PLANTED.values())


async def test_the_record_of_disclosures_is_only_added_to(story: Story) -> None:
    await story.begin()
    await ask(story, story.consent_id)
    for statement in ("UPDATE disclosures SET asked_by = 'nobody'", "DELETE FROM disclosures"):
        with pytest.raises(DBAPIError, match="only added to"):
            async with story.bench.parts.engine.begin() as conn:
                await conn.exec_driver_sql(statement)
    assert len(await record(story)) == 1


async def test_an_erased_party_is_read_by_nobody_and_its_books_stay(story: Story) -> None:
    await story.begin()
    consent_id = await consented(story)
    async with story.bench.parts.engine.connect() as conn:
        backup = (await conn.exec_driver_sql("SELECT borrower_id, sealed FROM parties")).one()
    events = await story.bench.names()
    done = await erase(story)
    assert (done.status_code, done.json()["consents_revoked"]) == (200, 2)
    refused = await ask(story, consent_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "party_erased")
    assert await story.bench.names() == [*events, "consent.revoked", "consent.revoked"]
    shown = await story.bench.get(f"/v1/facilities/{story.facility_id}/borrower", role="customer_manager")
    assert (shown.json()["masked"], shown.json()["erased_on"]) == ({}, TODAY.isoformat())
    assert [(line["masked"], line["refused"]) for line in await record(story)] == [({}, "party_erased")]
    assert (await story.facility())["status"] == "referred"
    # The ciphertext of a backup put back: there is no key for it.
    async with story.bench.parts.engine.begin() as conn:
        await conn.exec_driver_sql(
            "UPDATE parties SET sealed = $2, erased_on = NULL WHERE borrower_id = $1", (*backup,)
        )
        assert (await conn.exec_driver_sql("SELECT count(*) FROM party_keys")).scalar() == 0
    assert (await ask(story, story.consent_id)).json()["code"] == "consent_revoked"
    assert (await story.bench.get(f"/v1/facilities/{story.facility_id}/borrower", role="privacy_officer")).json()[
        "code"
    ] == "party_erased"


async def test_nothing_goes_on_with_an_erased_party(story: Story) -> None:
    await story.begin()
    assert (await erase(story)).status_code == 200
    for answer in (
        await erase(story),
        await story.submit(),
        await story.post("consents", {"purposes": ["claim"]}, role="customer_manager", actor="li"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "party_erased")


async def test_a_borrower_whose_loan_runs_or_whose_retention_runs_is_not_erased(story: Story) -> None:
    await story.disbursed()
    running = await erase(story)
    assert (running.status_code, running.json()["code"]) == (409, "party_in_use")
    for row in schedule("400000", "600000"):
        assert (await story.repay(row["principal"]["amount"], row["due"])).status_code == 201
    kept = await erase(story)
    assert (kept.status_code, kept.json()["code"], kept.json()["until"]) == (409, "retention_runs", "2035-09-08")


async def test_data_keys_move_to_the_newest_master_key_and_the_older_one_can_go(bench: Callable[..., Bench]) -> None:
    async with bench(service) as opened:
        story = Story(opened)
        await story.begin()
        consent_id = await consented(story)
        path = opened.settings.keyring_path
        assert path is not None
        add_master_key(path, "local-2")
        opened.parts.keyring = Keyring(path)
        for rewrapped in (1, 0):
            answer = await opened.post("/v1/data-keys/rewrapping", {}, role="privacy_officer")
            assert answer.json() == {"master": "local-2", "rewrapped": rewrapped, "left": 0}
        rows = json.loads(path.read_text())["keys"]
        path.write_text(json.dumps({"keys": rows[1:]}))
        opened.parts.keyring = Keyring(path)
        assert (await ask(story, consent_id)).json()["fields"]["name"] == PLANTED["name"]


async def test_a_fingerprint_is_no_plain_hash_and_outlives_a_rotation(bench: Callable[..., Bench]) -> None:
    async with bench(service) as opened:
        await opened.open(TODAY)
        body = {"external_ref": "x", "channel": "c", "branch": "b1", "borrower": PLANTED, "consent": True}

        async def refer(**changes: Any) -> httpx.Response:
            return await opened.post("/v1/referrals", {**body, **changes}, role="customer_manager", key="k")

        first = await refer()
        async with opened.parts.engine.connect() as conn:
            stored = (await conn.exec_driver_sql("SELECT fingerprint FROM requests")).scalar()
        sent = first.request.content
        assert stored not in (
            hashlib.sha256(b"POST /v1/referrals?\n" + sent).hexdigest(),
            hashlib.sha256(sent).hexdigest(),
        )
        path = opened.settings.keyring_path
        assert path is not None
        add_master_key(path, "local-2")
        opened.parts.keyring = Keyring(path)
        again, other = await refer(), await refer(external_ref="y")
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_personal_data_is_in_no_row_no_event_no_answer_and_no_error(story: Story) -> None:
    await story.complete()
    borrower = f"/v1/facilities/{story.facility_id}/borrower"
    told = [("events", str(await story.bench.published()).encode())]
    for path in ("/v1/facilities", f"/v1/facilities/{story.facility_id}", "/v1/portfolio", borrower):
        answer = await story.bench.get(path, role="customer_manager")
        assert answer.status_code == 200, answer.text
        told.append((path, answer.content))
    for wrong in ({"consent": False}, {"borrower": {**PLANTED, "extra": 1}}, {"borrower": {**PLANTED, "name": 7}}):
        body = {"external_ref": "x", "channel": "c", "branch": "b1", "borrower": PLANTED, "consent": True, **wrong}
        answer = await story.bench.post("/v1/referrals", body, role="customer_manager")
        assert answer.status_code == 422
        told.append(("error", answer.content))
    assert not leaks([*told, *await dump(story)], PLANTED.values())
