"""Ed25519 signatures of documents (RFC 8032): made by who holds the private key, checked with the public one."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def is_signed(public_key: str, signature: str, document: bytes) -> bool:
    """Whether `signature` (base64) was made for exactly this document with the key's private half."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), document)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def sign(private_key: Ed25519PrivateKey, document: bytes) -> str:
    """The signature in base64."""
    return base64.b64encode(private_key.sign(document)).decode()


def public_half(private_key: Ed25519PrivateKey) -> str:
    """The public key in base64."""
    return base64.b64encode(private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
