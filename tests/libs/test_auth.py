"""Who is let in: only a token our issuer signed, for us, that is in force; and how the issuer's keys are found."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import ValidationError

from libs.runtime import auth
from libs.runtime.auth import HEAD_OFFICE, Caller, Issuer, TokenDoor, Unauthenticated
from libs.runtime.keys import KeysUnavailable
from libs.runtime.settings import Settings

BANK = "https://identity/realm"


def settings(**changes: Any) -> Settings:
    return Settings(database_url="postgresql://nobody@localhost/none", kafka_bootstrap="localhost:1", **changes)


def door_of(issuer: Issuer, leeway: int = 0, **changes: Any) -> TokenDoor:
    """A door that trusts this issuer."""
    return TokenDoor(settings(jwks_path=issuer.jwks_path, token_leeway_seconds=leeway, **changes))


async def refused(door: TokenDoor, header: str) -> bool:
    """Whether the door stays shut, the second time too."""
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await door.caller(header)
    return True


def signed(issuer: Issuer, **claims: Any) -> str:
    """A token of the issuer with these claims beside a good audience and expiry; None leaves one out."""
    key = ECKey.import_key(json.loads(issuer.private_path.read_text()))
    whole = {"sub": "ann", "aud": "silverbear", "exp": int(time.time()) + 60, **claims}
    kept = {name: value for name, value in whole.items() if value is not None}
    return "Bearer " + jwt.encode({"alg": "ES256", "kid": key.kid}, kept, key)


async def test_a_good_token_names_subject_roles_unit_level_and_party(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    header = f"Bearer {issuer.token('ann', 'officer', 'checker', org='b1', level='branch', party='p1')}"
    for _ in range(2):
        expected = Caller("ann", frozenset({"officer", "checker"}), org="b1", level="branch", party="p1")
        assert await door.caller(header) == expected


def test_a_unit_reaches_itself_and_those_below_it_and_the_head_office_all() -> None:
    branch = Caller("ann", frozenset(), org="zj/hangzhou")
    assert [branch.reaches(org) for org in ("zj/hangzhou", "zj/hangzhou/west")] == [True, True]
    assert not any(branch.reaches(org) for org in ("zj", "zj/ningbo", "zj/hangzhou-2", ""))
    assert Caller("ann", frozenset(), level=HEAD_OFFICE).reaches("zj/ningbo")
    assert not Caller("ann", frozenset()).reaches("zj")
    assert not Caller("ann", frozenset(), org="zj", level=HEAD_OFFICE, party="p1").reaches("zj")


async def test_an_expired_token_is_refused_after_the_leeway_only(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    token = f"Bearer {issuer.token('ann', seconds=-5)}"
    assert await refused(door_of(issuer), token)
    assert (await door_of(issuer, leeway=30).caller(token)).subject == "ann"


async def test_a_token_is_not_good_before_its_time(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    soon = signed(issuer, nbf=int(time.time()) + 20)
    assert await refused(door_of(issuer), soon)
    assert (await door_of(issuer, leeway=30).caller(soon)).subject == "ann"


async def test_a_remembered_token_is_refused_once_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    token = f"Bearer {issuer.token('ann', seconds=60)}"
    assert (await door.caller(token)).subject == "ann"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert await refused(door, token)


async def test_a_token_for_somebody_else_or_of_nobody_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    assert await refused(door, f"Bearer {issuer.token('ann', audience='another')}")
    assert await refused(door, f"Bearer {issuer.token('')}")


@pytest.mark.parametrize(
    "claims",
    [
        *({"exp": None}, {"aud": None}, {"sub": None}, {"sub": 1}, {"exp": "soon"}, {"roles": {"a": 1}}, {"roles": 7}),
        *({"org": ["b1"]}, {"level": 1}, {"party": {}}, {"aud": ["other"]}, {"nbf": "x"}),
    ],
)
async def test_a_token_that_leaves_out_or_distorts_a_claim_is_refused(tmp_path: Path, claims: dict[str, Any]) -> None:
    issuer = Issuer(tmp_path)
    assert await refused(door_of(issuer), signed(issuer, **claims))


async def test_the_issuer_is_asked_for_where_it_is_set(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer, token_issuer=BANK)
    assert (await door.caller(signed(issuer, iss=BANK))).subject == "ann"
    for other in (None, "https://elsewhere", BANK + "/", [BANK]):
        assert await refused(door, signed(issuer, iss=other))


async def test_roles_are_found_where_the_bank_keeps_them(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    for name, claims in (
        ("realm_access.roles", {"realm_access": {"roles": ["reviewer", "approver"]}}),
        ("https://bank/roles", {"https://bank/roles": ["reviewer", "approver"]}),
        ("scope", {"scope": "reviewer approver"}),
    ):
        caller = await door_of(issuer, token_roles_claim=name).caller(signed(issuer, **claims))
        assert caller.roles == {"reviewer", "approver"}
    assert (await door_of(issuer, token_roles_claim="a.b").caller(signed(issuer, a="x"))).roles == frozenset()


async def test_a_token_of_another_key_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "ours")
    assert await refused(door_of(issuer), f"Bearer {Issuer(tmp_path / 'theirs').token('ann')}")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer é", "Bearer a.b"])
async def test_what_is_no_bearer_token_is_refused(tmp_path: Path, header: str) -> None:
    assert await refused(door_of(Issuer(tmp_path)), header)


async def test_a_token_signed_with_our_public_key_as_a_secret_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    public = json.loads(issuer.jwks_path.read_text())["keys"][0]
    claims = {"sub": "eve", "aud": "silverbear", "exp": int(time.time()) + 60}
    secret = OctKey.import_key(json.dumps(public).encode())
    forged = jwt.encode({"alg": "HS256", "kid": public["kid"]}, claims, secret, algorithms=["HS256"])
    assert await refused(door_of(issuer), f"Bearer {forged}")


async def test_only_the_algorithms_that_are_set_are_trusted(tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    claims = {"sub": "ann", "aud": "silverbear", "exp": int(time.time()) + 60}
    token = "Bearer " + jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
    assert (await TokenDoor(settings(jwks_path=path)).caller(token)).subject == "ann"
    assert await refused(TokenDoor(settings(jwks_path=path, token_algorithms=["ES256"])), token)
    for unsafe in ("HS256", "none"):
        with pytest.raises(ValidationError):
            settings(jwks_path=path, token_algorithms=[unsafe])


async def test_a_rotated_key_is_read_without_a_restart(tmp_path: Path) -> None:
    old = Issuer(tmp_path / "old")
    door = door_of(old)
    before = f"Bearer {old.token('ann')}"
    assert (await door.caller(before)).subject == "ann"
    new = Issuer(tmp_path / "new")
    old.jwks_path.write_text(new.jwks_path.read_text())
    assert (await door.caller(f"Bearer {new.token('bob')}")).subject == "bob"
    assert await refused(door, f"Bearer {old.token('cid')}")
    assert await refused(door, before), "a token is not remembered beyond its key"


async def test_a_key_taken_back_is_not_trusted_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(tmp_path / "old")
    door = door_of(issuer)
    token = f"Bearer {issuer.token('ann')}"
    assert (await door.caller(token)).subject == "ann"
    issuer.jwks_path.write_text(Issuer(tmp_path / "new").jwks_path.read_text())
    assert (await door.caller(token)).subject == "ann"
    later = time.monotonic() + 601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert await refused(door, token)


class Provider:
    """An OIDC provider that counts what it is asked, and may be away."""

    def __init__(self, issuer: Issuer, called: str = BANK) -> None:
        self.issuer, self.called = issuer, called
        self.asked: Counter[str] = Counter()
        self.away: Exception | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked[request.url.path] += 1
        if self.away is not None:
            raise self.away
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json={"issuer": self.called, "jwks_uri": "https://identity/keys"})
        return httpx.Response(200, text=self.issuer.jwks_path.read_text())

    def door(self, **changes: Any) -> TokenDoor:
        return TokenDoor(settings(**{"issuer_url": BANK, **changes}), httpx.MockTransport(self))


async def test_an_issuer_is_discovered_and_must_be_who_it_says(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    provider = Provider(issuer)
    assert (await provider.door().caller(signed(issuer, iss=BANK))).subject == "ann"
    assert provider.asked == {"/realm/.well-known/openid-configuration": 1, "/keys": 1}
    assert await refused(provider.door(), signed(issuer))  # no iss
    with pytest.raises(KeysUnavailable):
        await Provider(issuer, called="https://evil").door().caller(signed(issuer, iss=BANK))


async def test_bad_tokens_do_not_make_us_read_the_keys_again_and_again(tmp_path: Path) -> None:
    issuer, stranger = Issuer(tmp_path / "ours"), Issuer(tmp_path / "theirs")
    provider = Provider(issuer)
    door = provider.door(issuer_url="", jwks_url="https://identity/keys")
    for number in range(50):
        assert await refused(door, f"Bearer {stranger.token(str(number))}")
        assert await refused(door, f"Bearer {issuer.token('ann')[:-8]}AAAAAAAA")
    assert provider.asked == {"/keys": 2}  # once at first, once for the unknown key


@pytest.mark.parametrize("failure", [httpx.ConnectError("away"), AttributeError("no getpeername", name="getpeername")])
async def test_while_the_issuer_is_away_its_known_keys_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    issuer = Issuer(tmp_path)
    provider = Provider(issuer)
    door = provider.door(token_issuer=BANK)
    provider.away = failure
    with pytest.raises(KeysUnavailable):
        await door.caller(signed(issuer, iss=BANK))
    provider.away = None
    assert (await door.caller(signed(issuer, iss=BANK))).subject == "ann"
    provider.away = failure
    later = time.monotonic() + 601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (await door.caller(signed(issuer, iss=BANK, sub="bob"))).subject == "bob"


@pytest.mark.parametrize("places", [{}, {"jwks_path": "a", "jwks_url": BANK}, {"jwks_url": "file:///etc/passwd"}])
def test_the_keys_come_from_exactly_one_place(places: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**places)


async def test_only_so_many_tokens_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_MAX", 2)
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    tokens = [f"Bearer {issuer.token(name)}" for name in ("ann", "bob", "cid")]
    assert [(await door.caller(token)).subject for token in tokens] == ["ann", "bob", "cid"]
    assert len(door._remembered) == 2
    assert (await door.caller(tokens[0])).subject == "ann"
