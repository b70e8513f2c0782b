"""An exercise for operators: puts a service's counter of one key back by one, as a restored backup would.

`python -m deploy.demo.drill guarantee FACILITY_ID`: the next event that this service publishes about the facility
carries a sequence its readers have seen under another id. They park it, and everything of the key waits behind it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.runtime import migrate


async def put_back(admin_url: str, service: str, key: str) -> int:
    """The sequence that the service now believes to be the key's last; LookupError when it knows no such key."""
    if service not in migrate.SERVICES:
        raise LookupError(f"there is no service {service}")
    url = admin_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as conn:
            told = text(f"UPDATE {service}.stream SET seq = seq - 1 WHERE key = :key AND seq > 0 RETURNING seq")  # noqa: S608 - our names
            seq = (await conn.execute(told, {"key": key})).scalar()
    finally:
        await engine.dispose()
    if seq is None:
        raise LookupError(f"{service} has told nothing about {key}")
    return int(seq)


def main(arguments: list[str], addresses: Mapping[str, str] = os.environ) -> int:
    """The command line of this module; the database's address is SILVERBEAR_DATABASE of `var/platform.env`."""
    admin_url = addresses.get("SILVERBEAR_DATABASE", "")
    if len(arguments) != 2 or not admin_url:  # noqa: PLR2004 - service and key
        print("python -m deploy.demo.drill SERVICE KEY, after `. var/platform.env`", file=sys.stderr)
        return 2
    service, key = arguments
    try:
        seq = asyncio.run(put_back(admin_url, service, key))
    except LookupError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{service} now believes that its last event about {key} was number {seq}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
