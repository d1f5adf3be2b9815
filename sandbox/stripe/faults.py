"""Faults that a test configures for the next requests."""

from dataclasses import dataclass

from sandbox.stripe.errors import StripeError
from sandbox.stripe.world import StripeWorld

KINDS = {
    "400": StripeError(400, "The request is not valid.", "parameter_invalid"),
    "401": StripeError(401, "Expired API Key provided.", "api_key_expired"),
    "403": StripeError(403, "The provided key does not have the required permissions for this endpoint."),
    "404": StripeError(404, "No such object.", "resource_missing"),
    "409": StripeError(409, "There is currently another in-progress request.", "idempotency_key_in_use"),
    "other_mode": StripeError(
        404,
        "No such object; a similar object exists in live mode, but a test mode key was used to make this request.",
        "resource_missing",
    ),
    "429": StripeError(429, "Too many requests hit the API too quickly.", "rate_limit"),
    "lock_timeout": StripeError(429, "This object cannot be accessed right now.", "lock_timeout"),
    "500": StripeError(500, "An unknown error occurred.", type="api_error"),
    "503": StripeError(503, "The service is unavailable.", type="api_error"),
    "slow": None,
    "timeout": None,
    "lost_answer": None,
}
"""The error of each fault. `slow` delays the response; the last two break the connection before and after the work."""


_UNTIL_REPLACED = -1


@dataclass(frozen=True)
class StripeFault:
    """The fault of one request."""

    error: StripeError | None
    """None: the request takes effect."""
    is_lost: bool = False
    """The response never arrives."""
    delay_ms: int = 0
    """The delay of the response."""


class ConnectionLost(Exception):
    """The connection ends before the request takes effect."""


def next_fault(world: StripeWorld, path: str) -> StripeFault | None:
    """Consume and return the fault for this request, if there is one.

    Raises:
        ConnectionLost: the connection ends without a response.
    """
    with world.store.transaction():
        waiting: list[dict[str, str | int]] = world.setting("faults")
        found = next((one for one in waiting if path.startswith(str(one.get("path", "/")))), None)
        if found is None:
            return None
        left = int(found.get("times", 1)) - 1
        rest = [one for one in waiting if one is not found]
        if left != 0:
            # Below 0 it lasts until other faults are set.
            rest = [{**found, "times": max(left, _UNTIL_REPLACED)}, *rest]
        world.set("faults", rest)
    kind = str(found["kind"])
    if kind == "timeout":
        raise ConnectionLost(kind)
    return StripeFault(KINDS[kind], is_lost=kind == "lost_answer", delay_ms=int(found.get("delay_ms", 0)))
