"""Trouble that a test asks for, on the next requests."""

from dataclasses import dataclass

from infra.local.stripe.errors import StripeError
from infra.local.stripe.world import World

KINDS = {
    "429": StripeError(429, "Too many requests hit the API too quickly.", "rate_limit"),
    "lock_timeout": StripeError(429, "This object cannot be accessed right now.", "lock_timeout"),
    "500": StripeError(500, "An unknown error occurred.", type="api_error"),
    "timeout": None,
    "lost_answer": None,
}
"""The error of each; the last two break the connection, before the work is done and after it."""


@dataclass(frozen=True)
class Fault:
    """What one request meets."""

    error: StripeError | None
    """None: the work is done, and its answer is lost."""


class ConnectionLost(Exception):
    """The connection ends before anything is done."""


def take(world: World, path: str) -> Fault | None:
    """The trouble of this request, if there is any for it; each is used up.

    Raises:
        ConnectionLost: the request is never heard.
    """
    with world.store.transaction():
        waiting: list[dict[str, str | int]] = world.setting("faults")
        found = next((one for one in waiting if path.startswith(str(one.get("path", "/")))), None)
        if found is None:
            return None
        left = int(found.get("times", 1)) - 1
        rest = [one for one in waiting if one is not found]
        world.set("faults", [{**found, "times": left}, *rest] if left else rest)
    kind = str(found["kind"])
    if kind == "timeout":
        raise ConnectionLost(kind)
    return Fault(KINDS[kind])
