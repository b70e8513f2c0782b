"""`python -m deploy.local.partner --kind insurer`: a sandbox partner as a process of its own.

It knows the platform by its public API and webhooks alone. Where it is comes from `var/platform.env` unless said, who
it is from PARTNER_CLIENT_ID and PARTNER_CLIENT_SECRET. Without an issuer it only answers what it is asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from deploy.partner import KINDS
from deploy.partner.bank import Access, Bank
from deploy.partner.desk import Desk, make_app
from deploy.partner.script import Plan


def main(arguments: list[str]) -> int:
    """The command line of this module."""
    options = argparse.ArgumentParser(prog="python -m deploy.local.partner", description=__doc__)
    options.add_argument("--kind", choices=KINDS, required=True)
    options.add_argument("--partner-id", default="", help="its id at the bank (the one of the generated branch)")
    options.add_argument("--port", type=int, default=8100)
    options.add_argument(
        "--guarantee", default=os.environ.get("SILVERBEAR_GUARANTEE", ""), help="the service's address"
    )
    options.add_argument("--issuer", default=os.environ.get("SILVERBEAR_TOKENS", ""), help="the token endpoint")
    options.add_argument(
        "--script", type=Path, help='a JSON file: {"next": [words], "shares": {word: share}, "seed": 1}'
    )
    options.add_argument("--calling", action="store_true", help="answer at the bank's door instead of being asked")
    given = options.parse_args(arguments)
    try:
        plan = Plan.model_validate_json(given.script.read_bytes()) if given.script else Plan()
    except (OSError, ValidationError) as error:
        print(f"{given.script}: {error}", file=sys.stderr)
        return 2
    bank = None
    if given.issuer:
        access = Access(
            partner_id=given.partner_id or KINDS[given.kind],
            guarantee_url=given.guarantee,
            token_url=given.issuer,
            client_id=os.environ.get("PARTNER_CLIENT_ID", ""),
            client_secret=os.environ.get("PARTNER_CLIENT_SECRET", ""),
        )
        bank = Bank(access)
    desk = Desk(bank=bank, hook=f"http://127.0.0.1:{given.port}/hooks", plan=plan, calling=given.calling)
    uvicorn.run(
        make_app(desk),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
