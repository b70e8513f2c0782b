"""A partner's webhook endpoint: where it is told what happened to its covers, of which kinds, and whether it lives."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from libs.events.guarantee import PartnerUnreachable
from libs.kernel.errors import Invalid, Refused

ENDPOINTS_MAX = 10
KEYS_MAX = 3


class EndpointState(StrEnum):
    """Only an enabled one is sent to; what happens meanwhile waits for a disabled one, and not for a closed one."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of a partner; empty `types` are all. `reason` says why it is not enabled."""

    endpoint_id: str
    partner_id: str
    url: str
    types: tuple[str, ...]
    state: EndpointState
    reason: str
    since: date
    registered_by: str


def register(endpoint: Endpoint, others: Collection[Endpoint], told: Collection[str]) -> Endpoint:
    """One more endpoint beside `others` of the partner; raises Invalid for a type that is never `told`, or Refused."""
    unknown = sorted(set(endpoint.types) - set(told))
    if unknown:
        raise Invalid("type_not_told", f"partners are not told: {', '.join(unknown)}")
    if sum(other.state is not EndpointState.CLOSED for other in others) >= ENDPOINTS_MAX:
        raise Refused("too_many_endpoints", f"a partner has at most {ENDPOINTS_MAX}: close one")
    return endpoint


def disable(endpoint: Endpoint, reason: str, on: date) -> tuple[Endpoint, PartnerUnreachable | None]:
    """Nothing is sent there until it is enabled again, and the notice of it; None for one that is not enabled."""
    if endpoint.state is not EndpointState.ENABLED:
        return endpoint, None
    event = PartnerUnreachable(partner=endpoint.partner_id, endpoint_id=endpoint.endpoint_id, reason=reason, since=on)
    return replace(endpoint, state=EndpointState.DISABLED, reason=reason, since=on), event


def enable(endpoint: Endpoint, on: date) -> Endpoint:
    """What waits is sent, in its order; raises Refused for one that is closed for good."""
    _check_open(endpoint)
    if endpoint.state is EndpointState.ENABLED:
        return endpoint
    return replace(endpoint, state=EndpointState.ENABLED, reason="", since=on)


def close(endpoint: Endpoint, on: date) -> Endpoint:
    """The end of it: nothing is sent there any more, and what waits is dropped."""
    _check_open(endpoint)
    return replace(endpoint, state=EndpointState.CLOSED, reason="closed", since=on)


def check_key(endpoint: Endpoint, live: int) -> None:
    """Whether one more key may sign beside those `live`; raises Refused."""
    _check_open(endpoint)
    if live >= KEYS_MAX:
        raise Refused("too_many_keys", f"at most {KEYS_MAX} keys sign at once: wait until one retires")


def _check_open(endpoint: Endpoint) -> None:
    if endpoint.state is EndpointState.CLOSED:
        raise Refused("endpoint_closed", f"{endpoint.endpoint_id} is closed: register another")
