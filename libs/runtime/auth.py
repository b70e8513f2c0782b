"""Who is calling: a bearer JWT checked against the issuer's keys; verified tokens are remembered until they expire."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey
from joserfc.jwt import ClaimsOption

from libs.runtime.certificates import METHOD, bound_to
from libs.runtime.keys import SigningKeys
from libs.runtime.settings import Settings

ALGORITHM = "ES256"
REMEMBERED_MAX = 10_000
HEAD_OFFICE = "head office"
# Every role that works at the bank or for its systems; a partner of the bank is none of them.
BANK = (
    *("admin", "appraiser", "approver", "auditor", "core_bank", "customer_manager", "data_provider", "disposal_agent"),
    *("inspector", "operator", "reviewer", "risk_director"),
)
PARTNER = "partner"
Reach = str | None
ACTING_FOR = "silverbear.caller"
"""Where this process says for whom it brings a request of its own; nothing that comes from outside gets there."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor behind a request: subject, roles, their organisation unit and its level, or the partner they act for.

    A unit is named by its path, `zhejiang/hangzhou`: it reaches its own facilities and those of the units below it;
    the head office reaches all. `party` binds a partner's token to what is that partner's own; what it may do there
    say its `scopes` alone, whatever roles it carries.
    """

    subject: str
    roles: frozenset[str]
    org: str = ""
    level: str = ""
    party: str = ""
    scopes: frozenset[str] = frozenset()
    certificate: str = ""
    """The thumbprint of the certificate that the token is bound to, if it is; checked with every request."""

    @property
    def name(self) -> str:
        """Who is calling, unlike any other caller: two partners may call their clients the same."""
        return f"{self.party}\x1f{self.subject}" if self.party else self.subject

    @property
    def everywhere(self) -> bool:
        """Whether the caller acts for the whole bank."""
        return self.level == HEAD_OFFICE and not self.party

    @property
    def reach(self) -> Reach:
        """What `within` takes: the unit, or None for the whole bank."""
        return None if self.everywhere else "" if self.party else self.org

    def reaches(self, org: str) -> bool:
        """Whether a facility of the unit `org` is the caller's business."""
        below = bool(self.org) and (org == self.org or org.startswith(f"{self.org}/"))
        return self.everywhere or (below and not self.party)


def within(column: str, number: int) -> str:
    """SQL for rows whose unit is within a caller's reach, which is the parameter `$number`: as Caller.reaches says."""
    reach = f"${number}::text"
    return f"({reach} IS NULL OR ({reach} <> '' AND ({column} = {reach} OR starts_with({column}, {reach} || '/'))))"


class Unauthenticated(Exception):
    """No token, or one that does not verify; answered 401 with no detail of why."""


class TokenDoor:
    """Verifies tokens; raises Unauthenticated, or KeysUnavailable while no key could be read."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._keys = SigningKeys(settings, transport)
        self._edition = 0
        self._remembered: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        issuer = settings.token_issuer or settings.issuer_url
        asked: ClaimsOption = {"essential": True, "value": issuer} if issuer else {}
        self._rules = jwt.JWTClaimsRegistry(
            leeway=settings.token_leeway_seconds,
            exp={"essential": True},
            aud={"essential": True, "value": settings.token_audience},
            iss=asked,
        )

    async def caller(self, header: str) -> Caller:
        """The caller behind an Authorization header."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        known = self._remembered.get(token)
        fresh = self._edition == self._keys.edition and not self._keys.old
        if known is not None and known[0] > time.time() and fresh:
            return known[1]
        claims = await self._verified(token)
        caller = self._caller(claims)
        if self._edition != self._keys.edition:  # a key came or went: what the old ones signed is judged anew
            self._remembered.clear()
            self._edition = self._keys.edition
        self._remembered[token] = (float(claims["exp"]) + self._settings.token_leeway_seconds, caller)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return caller

    async def _verified(self, token: str) -> dict[str, Any]:
        keys = await self._keys.current()
        try:
            try:
                decoded = jwt.decode(token, keys, algorithms=self._settings.token_algorithms)
            except InvalidKeyIdError:
                await self._keys.look_again()
                decoded = jwt.decode(token, await self._keys.current(), algorithms=self._settings.token_algorithms)
            self._rules.validate(decoded.claims)
            return dict(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthenticated from error

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        roles, subject = _claim(claims, self._settings.token_roles_claim), claims.get("sub", "")
        scopes = claims.get("scope", "")
        roles, scopes = (text.split() if isinstance(text, str) else text for text in (roles, scopes))
        if not isinstance(subject, str) or not subject or not isinstance(roles, list) or not isinstance(scopes, list):
            raise Unauthenticated
        org, level, party = (claims.get(name, "") for name in ("org", "level", "party"))
        if not all(isinstance(text, str) for text in (org, level, party)):
            raise Unauthenticated
        try:
            certificate = bound_to(claims)
        except ValueError as error:
            raise Unauthenticated from error
        told = (frozenset(map(str, roles)), org, level, party, frozenset(map(str, scopes)))
        return Caller(subject, *told, certificate)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, else the one at this path of names; an empty list when there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return [] if found is None else found


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
        self,
        subject: str,
        *roles: str,
        org: str = "",
        level: str = "",
        party: str = "",
        scope: str = "",
        certificate: str = "",
        seconds: int = 86_400,
        audience: str = "silverbear",
    ) -> str:
        """A signed token for `subject` with `roles`, valid for `seconds`; see Caller for the rest."""
        now = int(time.time())
        claims = {"sub": subject, "roles": list(roles), "aud": audience, "iat": now, "exp": now + seconds}
        told = {"org": org, "level": level, "party": party, "scope": scope}
        claims |= {name: text for name, text in told.items() if text}
        if certificate:
            claims["cnf"] = {METHOD: certificate}
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])
