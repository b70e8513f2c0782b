"""Partners' packs at the doors: only what was signed is taken in, requests are judged by it, verdicts replay."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy import packs as tool
from deploy.packs import signed
from libs.events.guarantee import CoverBound, CoverRefused
from libs.runtime.signature import public_half
from services.guarantee.main import service
from tests.guarantee.packs import KEY, OTHER_KEY, TABLE, hand_in, register_key
from tests.guarantee.stories import AGREED, DAY, Story, admit
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
PACKS = "/v1/agreements/reg-4321/packs"
SECOND = TABLE | {"version": 2}


def tampered(**change: Any) -> dict[str, Any]:
    body = signed(SECOND, KEY, "k1")
    return body | {"pack": body["pack"] | change}


async def test_only_what_the_partner_signed_is_taken_in_and_nothing_older(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await register_key(b)
        await hand_in(b)
        refused = [
            ("pack_signature_wrong", tampered(effective="2025-07-02")),
            ("pack_signature_wrong", tampered(rules=TABLE["rules"][:2])),
            ("pack_signature_wrong", signed(SECOND, OTHER_KEY, "k1")),
            ("pack_signature_wrong", signed(SECOND, KEY, "k1") | {"signature": "AAAA"}),
            ("pack_key_unknown", signed(SECOND, KEY, "k2")),
            ("pack_exists", signed(TABLE, KEY, "k1")),
            ("pack_rolled_back", signed(TABLE | {"effective": "2026-01-01"}, KEY, "k1")),
            ("pack_of_another", signed(SECOND | {"agreement": "named"}, KEY, "k1")),
            ("invalid_request", signed(SECOND, KEY, "k1") | {"signature": "no base64!"}),
            ("invalid_request", tampered(rules=[{"when": {"amount": {"below": 0.5}}, "verdict": "admit"}])),
        ]
        for code, body in refused:
            answer = await b.post(PACKS, body, role="admin")
            assert answer.json()["code"] == code, answer.text
        await b.post("/v1/partners/city-guarantee/keys/k1/revocation", {}, role="admin")
        answer = await b.post(PACKS, signed(SECOND, KEY, "k1"), role="admin")
        assert answer.json()["code"] == "pack_key_revoked"


async def test_a_key_is_registered_once_and_only_if_it_is_one(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b)
        await register_key(b)
        keys = "/v1/partners/city-guarantee/keys"
        for body, code in (
            ({"key_id": "k1", "public_key": public_half(OTHER_KEY)}, "key_exists"),
            ({"key_id": "k2", "public_key": "AAAA"}, "invalid_request"),
        ):
            assert (await b.post(keys, body, role="admin")).json()["code"] == code


async def test_a_refusal_names_the_packs_reason_and_its_version_and_takes_no_capacity(bench: Benches) -> None:
    large, small = Story(name="large", amount="500000"), Story(name="small", amount="499999.99")
    async with bench(service) as b:
        await admit(b, AGREED)
        await register_key(b)
        await hand_in(b)
        await b.react(large.submitted(), large.rated(), on=DAY)
        refused = (await b.published())[-1]
        assert isinstance(refused, CoverRefused)
        assert (refused.reason, refused.pack) == ("too_large", "reg-4321#1")
        assert (await b.get("/v1/agreements/reg-4321")).json()["reserved"]["amount"] == "0.00"
        await small.bind(b)
        assert isinstance((await b.published())[-1], CoverBound)


async def test_each_candidate_of_a_search_keeps_its_own_verdict_and_pack(bench: Benches) -> None:
    story = Story(name="large", amount="500000", agreement="any")
    admits = [{"when": {}, "verdict": "admit"}]
    closed = [{"when": {}, "verdict": "refuse", "reason": "closed"}]
    async with bench(service) as b:
        await admit(b, AGREED, *(AGREED | {"code": code} for code in ("a-closed", "z-open", "z-plain")))
        await register_key(b)
        await hand_in(b)
        await hand_in(b, agreement="a-closed", version=7, rules=closed)
        await hand_in(b, agreement="z-open", rules=admits)
        await b.react(story.submitted(), story.rated(), on=DAY)
        path = f"/v1/facilities/{story.facility_id}"
        offers = (await b.get(path)).json()["routing"]["offers"]
        assert {offer["agreement"]: (offer["reason"], offer["pack"]) for offer in offers} == {
            "reg-4321": ("too_large", "reg-4321#1"),
            "a-closed": ("closed", "a-closed#7"),
            "z-open": ("", ""),
            "z-plain": ("", ""),
        }
        verdicts = [(await b.get(f"{path}/pack-verdicts/{code}")).json() for code in ("reg-4321", "a-closed", "z-open")]
        assert [(one["pack"], one["admitted"]) for one in verdicts] == [
            ("reg-4321#1", False),
            ("a-closed#7", False),
            ("z-open#1", True),
        ]
        assert (await b.get(f"{path}/pack-verdicts/z-plain")).status_code == 404


async def test_a_pack_signed_while_quotes_are_out_names_itself_where_it_passes_an_offer_over(bench: Benches) -> None:
    story = Story(name="large", amount="500000", agreement="any")
    async with bench(service) as b:
        await admit(b, AGREED | {"binding": {"quoted": True}})
        await register_key(b)
        await b.react(story.submitted(), story.rated(), on=DAY)
        await hand_in(b)
        await b.answer("partner.quote", 200, offered=True)
        [offer] = (await b.get(f"/v1/facilities/{story.facility_id}")).json()["routing"]["offers"]
        assert (offer["state"], offer["reason"], offer["pack"]) == ("passed_over", "too_large", "reg-4321#1")
        refused = (await b.published())[-1]
        assert (refused.reason, refused.pack, refused.packs) == ("no_agreement_fits", "", ("reg-4321#1",))


async def test_a_partner_hands_in_its_own_rules_and_nobody_elses(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await register_key(b)
        body = signed(TABLE, KEY, "k1")

        async def hand_in_as(party: str, scope: str, path: str = PACKS) -> tuple[int, Any]:
            token = b.bearer("clerk", "partner", party=party, scope=scope)
            answer = await b.http.post(path, json=body, headers={**token, "idempotency-key": str(uuid.uuid4())})
            return answer.status_code, answer.json()

        assert (await hand_in_as("city-guarantee", "agreements.sign"))[1]["code"] == "scope_needed"
        foreign = await hand_in_as("another", "packs.write")
        absent = await hand_in_as("another", "packs.write", "/v1/agreements/absent/packs")
        assert foreign[0] == absent[0] == 404
        assert foreign[1]["detail"].replace("reg-4321", "absent") == absent[1]["detail"]
        status, pack = await hand_in_as("city-guarantee", "packs.write")
        assert (status, pack["pack_ref"], pack["received_from"]) == (201, "reg-4321#1", "clerk")


async def test_a_partner_replays_the_verdict_bit_for_bit_and_sees_what_was_changed(
    bench: Benches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(name="large", amount="500000")
    async with bench(service) as b:
        await admit(b, AGREED)
        await register_key(b)
        await hand_in(b)
        await b.react(story.submitted(), story.rated(), on=DAY)
        may = "agreements.read covers.read"
        mine, other = (b.bearer("p", "partner", party=party, scope=may) for party in ("city-guarantee", "another"))
        pack = (await b.http.get(f"{PACKS}/1", headers=mine)).json()
        path = f"/v1/facilities/{story.facility_id}/pack-verdicts/reg-4321"
        verdict = (await b.http.get(path, headers=mine)).json()
        assert [(await b.http.get(one, headers=other)).status_code for one in (f"{PACKS}/1", path)] == [404, 404]

    def replay(pack: dict[str, Any], verdict: dict[str, Any]) -> int:
        for name, body in (("pack", pack), ("verdict", verdict)):
            (tmp_path / name).write_text(json.dumps(body), "utf-8")
        paths = ["--pack", str(tmp_path / "pack"), "--verdict", str(tmp_path / "verdict")]
        return tool.main(["replay", *paths, "--public-key", public_half(KEY)])

    assert replay(pack, verdict) == tool.SAME
    assert capsys.readouterr().out == verdict["statement"] + "\n"
    lie = verdict["statement"].replace("too_large", "too_small")
    assert replay(pack, verdict | {"statement": lie}) == tool.DIFFERENT
    assert replay(pack | {"document": pack["document"].replace("500000", "600000")}, verdict) == tool.DIFFERENT
    assert replay(pack, verdict | {"statement": "{}"}) == tool.DIFFERENT


def test_a_partner_signs_a_total_table_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, key = tmp_path / "table.json", tmp_path / "key.pem"
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    arguments = ["sign", "--table", str(table), "--key", str(key), "--key-id", "k1"]
    table.write_text(json.dumps(TABLE), "utf-8")
    assert tool.main(arguments) == tool.SAME
    assert json.loads(capsys.readouterr().out) == signed(TABLE, KEY, "k1")
    table.write_text(json.dumps(TABLE | {"rules": TABLE["rules"][:1]}), "utf-8")
    assert tool.main(arguments) == tool.DIFFERENT
    assert "pack_has_gap" in capsys.readouterr().err
