"""Who is calling: a bearer JWT checked against a key set; verified tokens are remembered until they expire."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from libs.runtime.settings import Settings

ALGORITHM = "ES256"
REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor behind a request: subject, roles, and the branch they act for."""

    subject: str
    roles: frozenset[str]
    org: str


class Unauthenticated(Exception):
    """No token, or one that does not verify; answered 401 with no detail of why."""


class TokenDoor:
    """Verifies tokens; the key set file is read again when a token names a key it does not hold."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None
        self._remembered: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def caller(self, header: str) -> Caller:
        """The caller behind an Authorization header; raises Unauthenticated."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        known = self._remembered.get(token)
        now = time.time()
        if known is not None and known[0] > now:
            return known[1]
        claims = self._verify(token)
        roles = claims.get("roles", [])
        subject = claims.get("sub", "")
        if not isinstance(subject, str) or not subject or not isinstance(roles, list):
            raise Unauthenticated
        caller = Caller(subject, frozenset(map(str, roles)), str(claims.get("org", "")))
        self._remembered[token] = (float(claims["exp"]) + self._settings.token_leeway_seconds, caller)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return caller

    def _verify(self, token: str) -> dict[str, Any]:
        for reread in (False, True):
            try:
                decoded = jwt.decode(token, self._key_set(reread), algorithms=[ALGORITHM])
                rules = jwt.JWTClaimsRegistry(
                    leeway=self._settings.token_leeway_seconds,
                    exp={"essential": True},
                    aud={"essential": True, "value": self._settings.token_audience},
                )
                rules.validate(decoded.claims)
                return dict(decoded.claims)
            except (JoseError, ValueError, TypeError, KeyError) as error:
                failure = error
        raise Unauthenticated from failure

    def _key_set(self, reread: bool) -> KeySet:
        if self._keys is None or reread:
            self._keys = KeySet.import_key_set(json.loads(self._settings.jwks_path.read_text(encoding="utf-8")))
        return self._keys


class Issuer:
    """A local issuer for the demo and the tests: a key pair in a folder, tokens for anybody who can read it."""

    def __init__(self, folder: Path) -> None:
        self.private_path, self.jwks_path = folder / "issuer.json", folder / "jwks.json"
        if not self.private_path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
            self.private_path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
            self.private_path.chmod(0o600)
            self.jwks_path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")
        self._key = ECKey.import_key(json.loads(self.private_path.read_text(encoding="utf-8")))

    def token(
        self, subject: str, *roles: str, org: str = "", seconds: int = 86_400, audience: str = "silverbear"
    ) -> str:
        """A signed token for `subject` with `roles`, valid for `seconds`."""
        now = int(time.time())
        claims = {"sub": subject, "roles": list(roles), "org": org, "aud": audience, "iat": now, "exp": now + seconds}
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])
