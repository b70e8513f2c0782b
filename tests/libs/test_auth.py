"""Who is let in: only a token our issuer signed, for us, that has not expired."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from libs.runtime import auth
from libs.runtime.auth import Caller, Issuer, TokenDoor, Unauthenticated
from libs.runtime.settings import Settings


def door_of(issuer: Issuer, leeway: int = 0) -> TokenDoor:
    """A door that trusts this issuer."""
    return TokenDoor(
        Settings(
            database_url="postgresql://nobody@localhost/none",
            kafka_bootstrap="localhost:1",
            jwks_path=issuer.jwks_path,
            token_leeway_seconds=leeway,
        )
    )


def refused(door: TokenDoor, header: str) -> bool:
    """Whether the door stays shut, the second time too."""
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            door.caller(header)
    return True


def test_a_good_token_names_subject_roles_and_branch(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    header = f"Bearer {issuer.token('ann', 'officer', 'checker', org='b1')}"
    for _ in range(2):
        assert door.caller(header) == Caller("ann", frozenset({"officer", "checker"}), "b1")


def test_an_expired_token_is_refused_after_the_leeway_only(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    token = f"Bearer {issuer.token('ann', seconds=-5)}"
    assert refused(door_of(issuer), token)
    assert door_of(issuer, leeway=30).caller(token).subject == "ann"


def test_a_remembered_token_is_refused_once_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    token = f"Bearer {issuer.token('ann', seconds=60)}"
    assert door.caller(token).subject == "ann"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert refused(door, token)


def test_a_token_for_somebody_else_or_of_nobody_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    assert refused(door, f"Bearer {issuer.token('ann', audience='another')}")
    assert refused(door, f"Bearer {issuer.token('')}")


def test_a_token_of_another_key_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "ours")
    assert refused(door_of(issuer), f"Bearer {Issuer(tmp_path / 'theirs').token('ann')}")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer é", "Bearer a.b"])
def test_what_is_no_bearer_token_is_refused(tmp_path: Path, header: str) -> None:
    assert refused(door_of(Issuer(tmp_path)), header)


def test_a_token_signed_with_our_public_key_as_a_secret_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    public = json.loads(issuer.jwks_path.read_text())["keys"][0]
    claims = {"sub": "eve", "aud": "silverbear", "exp": int(time.time()) + 60}
    secret = OctKey.import_key(json.dumps(public).encode())
    forged = jwt.encode({"alg": "HS256", "kid": public["kid"]}, claims, secret, algorithms=["HS256"])
    assert refused(door_of(issuer), f"Bearer {forged}")


def test_a_token_without_an_expiry_is_refused(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    key = ECKey.import_key(json.loads(issuer.private_path.read_text()))
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, {"sub": "ann", "aud": "silverbear"}, key)
    assert refused(door_of(issuer), f"Bearer {token}")


def test_a_rotated_key_is_read_without_a_restart(tmp_path: Path) -> None:
    old = Issuer(tmp_path / "old")
    door = door_of(old)
    assert door.caller(f"Bearer {old.token('ann')}").subject == "ann"
    new = Issuer(tmp_path / "new")
    old.jwks_path.write_text(new.jwks_path.read_text())
    assert door.caller(f"Bearer {new.token('bob')}").subject == "bob"
    assert refused(door, f"Bearer {old.token('cid')}")


def test_only_so_many_tokens_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_MAX", 2)
    issuer = Issuer(tmp_path)
    door = door_of(issuer)
    tokens = [f"Bearer {issuer.token(name)}" for name in ("ann", "bob", "cid")]
    assert [door.caller(token).subject for token in tokens] == ["ann", "bob", "cid"]
    assert len(door._remembered) == 2
    assert door.caller(tokens[0]).subject == "ann"
