"""The local issuer's token endpoint: OAuth2 client credentials for partners' systems, on this machine only.

Its clients stand in `clients.json` beside the issuer's keys, each with the digest of its secret, its partner and its
scopes; `ISSUER_FOLDER` names the folder. `python -m deploy.local.token_door CLIENT PARTNER` admits a client and prints
its secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from libs.runtime.auth import PARTNER, Issuer

CLIENTS = "clients.json"
TOKEN_SECONDS = 3_600
PARTNER_SCOPES = (
    "agreements.read agreements.sign claims.decide claims.pay covers.answer covers.read events.read reports.write"
    " webhooks.read webhooks.write"
)


def add_client(folder: Path, client_id: str, party: str, scope: str = PARTNER_SCOPES) -> str:
    """Admit a client for a partner; returns its secret, which is kept nowhere."""
    path, secret = folder / CLIENTS, secrets.token_urlsafe(32)
    clients = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    clients[client_id] = {"digest": _digest(secret), "party": party, "scope": scope}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(clients), encoding="utf-8")
    return secret


async def token(request: Request) -> JSONResponse:
    """POST /token (RFC 6749, 4.4): a client proves itself by its secret and gets a token for its own partner."""
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode("ascii", "replace")).items()}
    if form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, 400)
    client_id, secret = _credentials(request.headers.get("authorization", ""), form)
    folder = Path(os.environ["ISSUER_FOLDER"])
    path = folder / CLIENTS
    known = (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}).get(client_id)
    if known is None or not hmac.compare_digest(known["digest"], _digest(secret)):
        return JSONResponse({"error": "invalid_client"}, 401, headers={"www-authenticate": "Basic"})
    allowed = known["scope"].split()
    wanted = form.get("scope", known["scope"]).split()
    if not set(wanted) <= set(allowed):
        return JSONResponse({"error": "invalid_scope"}, 400)
    issued = Issuer(folder).token(
        client_id, PARTNER, party=known["party"], scope=" ".join(wanted), seconds=TOKEN_SECONDS
    )
    body = {"access_token": issued, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": " ".join(wanted)}
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _credentials(header: str, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (UnicodeError, binascii.Error):
            return "", ""
        return unquote(name), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _digest(secret: str) -> str:
    """Of 32 random bytes: nothing slower is needed to hide them."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def ready(_: Request) -> JSONResponse:
    """It has nothing to wait for."""
    return JSONResponse({"status": "ready"})


app = Starlette(routes=[Route("/token", token, methods=["POST"]), Route("/health/ready", ready)])


if __name__ == "__main__":
    print(add_client(Path(os.environ["SILVERBEAR_ISSUER"]), *sys.argv[1:3]))
