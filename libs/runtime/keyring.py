"""Sealing what only its owner's data key opens: destroy that one key and nobody reads it again, in no copy.

An envelope: each owner (a party) has a random data key of its own, AES-256-GCM, kept wrapped by a master key of the
keyring, a JSON file outside the database: `{"keys": [{"id": "2026-01", "key": "<32 bytes, base64>"}]}`, newest last.
New envelopes use the newest master key, the older ones still open what they wrapped. The owner is associated data, so
a ciphertext or a wrapped key that is moved to another owner does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES, NONCE_BYTES = 32, 12


class Unopenable(Exception):
    """What was sealed does not open: another owner's, changed since, or its master key is no longer on the keyring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """An owner's data key, wrapped (base64), and the id of the master key that unwraps it."""

    wrapped: str
    master: str


class Keyring:
    """The master keys of a file; it is read again when something names a key that it does not hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = _read(path)

    @property
    def newest(self) -> str:
        """The id of the master key that new data keys are wrapped with."""
        return next(reversed(self._keys))

    def seal(self, owner: str, clear: bytes) -> tuple[str, DataKey]:
        """Encrypt with a new data key for `owner`; returns the ciphertext (base64) and the wrapped key."""
        data_key = secrets.token_bytes(KEY_BYTES)
        return _encrypt(data_key, clear, f"sealed:{owner}"), self._wrap(owner, data_key)

    def open(self, owner: str, sealed: str, key: DataKey) -> bytes:
        """What was sealed for `owner`; raises Unopenable."""
        return _decrypt(self._unwrap(owner, key), sealed, f"sealed:{owner}")

    def rewrap(self, owner: str, key: DataKey) -> DataKey:
        """The same data key under the newest master key, so that an older one can be retired; raises Unopenable."""
        return self._wrap(owner, self._unwrap(owner, key))

    def digest(self, content: bytes, like: str = "") -> str:
        """`key id:HMAC-SHA256` of content, under the key of the earlier digest `like`, else under the newest.

        Nobody without the keyring can tell by trying what the content was, however few possibilities there are.
        """
        master = like.partition(":")[0]
        if not self._holds(master):
            master = self.newest
        return f"{master}:{hmac.new(self._derived(master, 'digest'), content, hashlib.sha256).hexdigest()}"

    def _wrap(self, owner: str, data_key: bytes) -> DataKey:
        master = self.newest
        wrapped = _encrypt(self._derived(master, "wrap"), data_key, f"data key:{master}:{owner}")
        return DataKey(wrapped=wrapped, master=master)

    def _unwrap(self, owner: str, key: DataKey) -> bytes:
        if not self._holds(key.master):
            raise Unopenable(f"master key {key.master} is not on the keyring")
        return _decrypt(self._derived(key.master, "wrap"), key.wrapped, f"data key:{key.master}:{owner}")

    def _holds(self, master: str) -> bool:
        if master and master not in self._keys:
            self._keys = _read(self._path)
        return master in self._keys

    def _derived(self, master: str, use: str) -> bytes:
        """One key per use, so that nothing computed for one of them says anything about another."""
        return HKDFExpand(SHA256(), KEY_BYTES, f"silverbear:{use}".encode()).derive(self._keys[master])


def add_master_key(path: Path, name: str) -> None:
    """Put a new random master key on the keyring at `path`, a file for its owner alone, made when there is none."""
    keys = _read(path) if path.exists() else {}
    if name in keys:
        raise ValueError(f"the keyring holds a key {name} already")
    keys[name] = secrets.token_bytes(KEY_BYTES)
    rows = [{"id": known, "key": base64.b64encode(key).decode()} for known, key in keys.items()]
    fresh = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"keys": rows}), encoding="utf-8")
    fresh.replace(path)


def local_keyring(folder: Path) -> Path:
    """The path of a keyring for the demo and the tests, made in `folder` at the first call."""
    path = folder / "keyring.json"
    if not path.exists():
        add_master_key(path, "local-1")
    return path


def _read(path: Path) -> dict[str, bytes]:
    """The master keys by id, newest last; raises ValueError or OSError, never with key material in its words."""
    try:
        rows = [
            (row["id"], base64.b64decode(row["key"], validate=True)) for row in json.loads(path.read_bytes())["keys"]
        ]
    except (ValueError, KeyError, TypeError):
        raise ValueError('a keyring is {"keys": [{"id": text, "key": base64 of 32 bytes}, …]}') from None
    if not rows or any(not isinstance(name, str) or not name or ":" in name for name, _ in rows):
        raise ValueError("a keyring holds at least one key, each with an id that is text without a colon")
    if len(dict(rows)) < len(rows) or any(len(key) != KEY_BYTES for _, key in rows):
        raise ValueError(f"the keys of a keyring have ids of their own and {KEY_BYTES} bytes each")
    return dict(rows)


def _encrypt(key: bytes, clear: bytes, bound_to: str) -> str:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, clear, bound_to.encode())).decode()


def _decrypt(key: bytes, sealed: str, bound_to: str) -> bytes:
    try:
        raw = base64.b64decode(sealed, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise Unopenable("not sealed for this owner, or changed since") from None
