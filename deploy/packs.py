"""A partner's own tool for its rule packs: sign a version, and replay a verdict of the bank's bit for bit, offline.

`python -m deploy.packs sign --table TABLE.json --key PRIVATE.pem --key-id NAME` prints the body to send to
`POST /v1/agreements/{code}/packs`. `python -m deploy.packs replay --pack PACK.json --verdict VERDICT.json --public-key
BASE64` takes the answers of the two doors that show them and prints the statement that the pack really makes on the
same inputs; exit code 1 says that pack or verdict is not what was signed or said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.kernel.errors import Invalid
from libs.runtime.signature import is_signed, sign
from services.guarantee.domain.pack import canonical, digest_of, read_table, state

SAME, DIFFERENT = 0, 1


def signed(table: dict[str, Any], private_key: Ed25519PrivateKey, signed_by: str) -> dict[str, Any]:
    """The body that hands the pack in; raises Invalid when the table is not total."""
    read_table(table)
    return {"pack": table, "signed_by": signed_by, "signature": sign(private_key, canonical(table))}


def replayed(pack: dict[str, Any], verdict: dict[str, Any], public_key: str) -> bytes:
    """What the pack says of the inputs of the verdict; raises Invalid for a pack that was not signed as it stands."""
    text = pack["document"].encode()
    table = json.loads(text)
    if canonical(table) != text or not is_signed(public_key, pack["signature"], text):
        raise Invalid("pack_signature_wrong", f"{pack['pack_ref']} is not what was signed")
    return state(pack["pack_ref"], digest_of(text), read_table(table), json.loads(verdict["statement"])["inputs"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Sign a table, or replay a verdict."""
    parser = argparse.ArgumentParser(prog="python -m deploy.packs", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    signing = commands.add_parser("sign", help="sign a table: prints the body that hands it in")
    signing.add_argument("--table", type=Path, required=True)
    signing.add_argument("--key", type=Path, required=True, help="Ed25519 private key, PEM")
    signing.add_argument("--key-id", required=True)
    signing.set_defaults(run=_sign)
    replaying = commands.add_parser("replay", help="what a pack says of the inputs of a verdict")
    replaying.add_argument("--pack", type=Path, required=True)
    replaying.add_argument("--verdict", type=Path, required=True)
    replaying.add_argument("--public-key", required=True)
    replaying.set_defaults(run=_replay)
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (Invalid, KeyError, TypeError, ValueError, ArithmeticError) as error:
        print(error if isinstance(error, Invalid) else f"unreadable: {error!r}", file=sys.stderr)
        return DIFFERENT


def _sign(options: argparse.Namespace) -> int:
    key = load_pem_private_key(options.key.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("an Ed25519 key signs packs")
    print(json.dumps(signed(_read(options.table), key, options.key_id), ensure_ascii=False))
    return SAME


def _replay(options: argparse.Namespace) -> int:
    verdict = _read(options.verdict)
    statement = replayed(_read(options.pack), verdict, options.public_key)
    print(statement.decode())
    same = statement.decode() == verdict["statement"] and digest_of(statement) == verdict["digest"]
    return SAME if same else DIFFERENT


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return read


if __name__ == "__main__":
    raise SystemExit(main())
