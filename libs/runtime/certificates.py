"""Certificate-bound tokens (RFC 8705): the client's certificate as the TLS proxy in front passes it in a header.

The header is believed only if a setting names it, so whoever sets it promises that the proxy overwrites what callers
send. A token that is bound is refused wherever the binding cannot be checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
METHOD = "x5t#S256"


def bound_to(claims: Mapping[str, Any]) -> str:
    """The thumbprint of the certificate that a token is bound to; empty for none.

    Raises ValueError for any other confirmation.
    """
    confirmation = claims.get("cnf")
    if confirmation is None:
        return ""
    if not isinstance(confirmation, Mapping) or list(confirmation) != [METHOD]:
        raise ValueError("a confirmation that nobody here can check")
    thumbprint = confirmation[METHOD]
    if not isinstance(thumbprint, str) or not thumbprint:
        raise ValueError("a confirmation without a thumbprint")
    return thumbprint


def thumbprint_of(values: Sequence[str]) -> str:
    """The thumbprint of the certificate in a header: `:base64:` (RFC 9440) or PEM, percent-encoded; empty for none.

    A header that came more than once is none: it is not known which of them the proxy wrote.
    """
    if len(values) != 1:
        return ""
    text = values[0].strip()
    pem = _PEM.fullmatch(urllib.parse.unquote(text))
    encoded = "".join(pem[1].split()) if pem else text[1:-1] if text[:1] == text[-1:] == ":" else ""
    try:
        certificate = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return ""
    digest = hashlib.sha256(certificate).digest() if certificate else b""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
