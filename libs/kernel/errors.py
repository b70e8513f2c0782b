"""How a request fails: one small tree, each leaf with a stable code that callers may rely on.

Rejection
├── Refused      the request is invalid in this state (409 for a caller, parked for an event)
├── Invalid      the request could never be valid (422)
├── NotFound     it names something that is not there (404)
└── NotAllowed   this actor may not do it (403)

A negative *decision* (an application refused, a claim denied) is never an error: it is a returned event.
"""

from __future__ import annotations


class Rejection(Exception):
    """A request that cannot be carried out; `code` is stable, `detail` is for people, `facts` are for programs."""

    status = 400

    def __init__(self, code: str, detail: str = "", **facts: str | int | bool) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.facts = facts


class Refused(Rejection):
    """The request is well formed but the present state does not admit it."""

    status = 409


class Invalid(Rejection):
    """The request contradicts itself or the contract, whatever the state."""

    status = 422


class NotFound(Rejection):
    """The request names something that does not exist or that the caller may not see."""

    status = 404


class NotAllowed(Rejection):
    """The actor lacks the authority: maker–checker, level, lapsed training."""

    status = 403
