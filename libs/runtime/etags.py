"""What a caller says to have seen of what it changes, as entity tags (RFC 9110): `If-Match` and `If-None-Match`."""

from datetime import date

from libs.kernel.errors import Rejection
from libs.runtime.openapi import header

IF_MATCH = header(
    "If-Match",
    "The ETag of what the caller saw at this service; 412 `precondition_failed` when it has changed since. A command"
    " that replaces what is there answers 428 `if_match_needed` without it.",
)


class Stale(Rejection):
    """`If-Match` names a version that is no longer there."""

    status = 412


class NotSeen(Rejection):
    """The request would overwrite what its caller does not say to have seen."""

    status = 428


def etag(version: int, on: date) -> str:
    """The entity tag of what a service knows under one key: it changes with every change, and with the business day."""
    return f'"{version}.{on:%Y%m%d}"'


def matches(wanted: str, tag: str) -> bool:
    """Whether an If-Match or If-None-Match header names this tag (empty: there is nothing); `*` names any."""
    names = {name.strip().removeprefix("W/") for name in wanted.split(",")}
    return bool(tag) and ("*" in names or tag in names)


def check_match(wanted: str | None, version: int, on: date, *, blindly: bool) -> None:
    """Raises Stale when `If-Match` names something else than what is there, NotSeen when it had to and does not.

    `version` is that of what is there, 0 for nothing; `blindly` whether it may be changed unseen.
    """
    if wanted in (None, "*") and version and not blindly:
        raise NotSeen("if_match_needed", "this replaces what is there: send the ETag of what you saw")
    if wanted is not None and not matches(wanted, etag(version, on) if version else ""):
        raise Stale("precondition_failed", "it has changed since; look again")
