"""Envelopes open for their owner alone, under any master key still on the keyring, and never when it is gone."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from libs.runtime.keyring import DataKey, Keyring, Unopenable, add_master_key, local_keyring

CLEAR = "张三 339901199001011234".encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return local_keyring(tmp_path / "keys")


def test_what_is_sealed_opens_for_its_owner_and_is_never_sealed_alike(path: Path) -> None:
    ring = Keyring(path)
    one, key = ring.seal("b-1", CLEAR)
    other, other_key = ring.seal("b-1", CLEAR)
    assert ring.open("b-1", one, key) == CLEAR
    assert one != other
    assert key.wrapped != other_key.wrapped
    assert not {one, key.wrapped} & {other, other_key.wrapped}
    assert CLEAR not in base64.b64decode(one)


@pytest.mark.parametrize("moved", ["both", "ciphertext", "key"])
def test_nothing_moved_to_another_owner_opens(path: Path, moved: str) -> None:
    ring = Keyring(path)
    one, key = ring.seal("b-1", CLEAR)
    other, other_key = ring.seal("b-2", CLEAR)
    taken = {"both": (one, key), "ciphertext": (one, other_key), "key": (other, key)}[moved]
    with pytest.raises(Unopenable):
        ring.open("b-2", *taken)


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_changed_bit_is_noticed(path: Path, place: int) -> None:
    ring = Keyring(path)
    sealed, key = ring.seal("b-1", CLEAR)
    for text, rebuilt in ((sealed, lambda text: (text, key)), (key.wrapped, lambda text: (sealed, _key(text, key)))):
        raw = bytearray(base64.b64decode(text))
        raw[place] ^= 1
        with pytest.raises(Unopenable):
            ring.open("b-1", *rebuilt(base64.b64encode(raw).decode()))
    for junk in ("", "AAAA", "not base64!", "张"):
        with pytest.raises(Unopenable):
            ring.open("b-1", junk, key)


def _key(wrapped: str, like: DataKey) -> DataKey:
    return DataKey(wrapped=wrapped, master=like.master)


def test_after_a_rotation_new_keys_are_wrapped_by_the_newest_and_old_ones_still_open(path: Path) -> None:
    before = Keyring(path)
    sealed, key = before.seal("b-1", CLEAR)
    add_master_key(path, "local-2")
    after = Keyring(path)
    newer, newer_key = after.seal("b-2", CLEAR)
    assert (key.master, newer_key.master, after.newest) == ("local-1", "local-2", "local-2")
    assert after.open("b-1", sealed, key) == CLEAR
    assert before.open("b-2", newer, newer_key) == CLEAR  # a process that started earlier reads the file again


def test_once_rewrapped_an_older_master_key_can_go(path: Path) -> None:
    sealed, key = Keyring(path).seal("b-1", CLEAR)
    add_master_key(path, "local-2")
    rewrapped = Keyring(path).rewrap("b-1", key)
    rows = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": rows[1:]}))
    ring = Keyring(path)
    assert ring.open("b-1", sealed, rewrapped) == CLEAR
    with pytest.raises(Unopenable, match="local-1"):
        ring.open("b-1", sealed, key)


def test_a_digest_is_told_by_nobody_without_its_key(path: Path, tmp_path: Path) -> None:
    ring, stranger = Keyring(path), Keyring(local_keyring(tmp_path / "other"))
    digest = ring.digest(CLEAR)
    assert digest == ring.digest(CLEAR) != ring.digest(CLEAR + b"x")
    assert stranger.digest(CLEAR, digest) != digest
    add_master_key(path, "local-2")
    newer = Keyring(path)
    assert newer.digest(CLEAR).startswith("local-2:")
    assert newer.digest(CLEAR, digest) == digest
    assert newer.digest(CLEAR, "retired:00") == newer.digest(CLEAR)


def test_the_file_is_its_owners_alone_and_a_name_is_used_once(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="local-1"):
        add_master_key(path, "local-1")
    assert local_keyring(path.parent) == path
    assert Keyring(path).newest == "local-1"


GOOD = base64.b64encode(bytes(32)).decode()
UNSOUND = [
    "",
    "[]",
    "{}",
    '{"keys": []}',
    '{"keys": [{"id": "a"}]}',
    json.dumps({"keys": [{"id": "a", "key": GOOD[:-4]}]}),
    json.dumps({"keys": [{"id": "a", "key": f"{GOOD}!"}]}),
    json.dumps({"keys": [{"id": "a:b", "key": GOOD}]}),
    json.dumps({"keys": [{"id": "", "key": GOOD}]}),
    json.dumps({"keys": [{"id": 1, "key": GOOD}]}),
    json.dumps({"keys": [{"id": "a", "key": GOOD}, {"id": "a", "key": GOOD}]}),
]


@pytest.mark.parametrize("content", UNSOUND)
def test_an_unsound_keyring_is_refused_without_a_word_of_its_keys(tmp_path: Path, content: str) -> None:
    (tmp_path / "keyring.json").write_text(content)
    with pytest.raises(ValueError, match="keyring") as refused:
        Keyring(tmp_path / "keyring.json")
    assert GOOD[:-4] not in str(refused.value)
