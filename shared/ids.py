"""Identifiers: prefixed ULIDs, and the slugs of tenants.

A ULID sorts by its creation time (https://github.com/ulid/spec): 48 bits of milliseconds and 80 random bits,
in Crockford's base 32.
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EVENT_DELIVERY_WINDOW = timedelta(seconds=60)
"""The time within which every event has arrived at its consumers, or in the dead letters."""

Entropy = Callable[[int], int]
"""A function that returns an integer with the given number of random bits."""


def new_id(prefix: str, now: datetime, *, entropy: Entropy = secrets.randbits) -> str:
    """Return an id such as `run_01J…` with the creation time `now`."""
    return f"{prefix}_{encode(now, entropy(80))}"


def encode(now: datetime, random_bits: int) -> str:
    """Return the ULID of a time and 80 random bits, 26 characters long."""
    number = (milliseconds(now) << 80) | random_bits
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def first_at(now: datetime) -> str:
    """Return the smallest ULID of a millisecond: the start of a range by time."""
    return encode(max(now, _EPOCH), 0)


def is_fresh(identifier: str, *, now: datetime) -> bool:
    """Return whether the id is too new for its creation event to have reached every service with certainty."""
    ulid = identifier.rpartition("_")[2]
    return first_at(now - EVENT_DELIVERY_WINDOW) <= ulid < first_at(now + EVENT_DELIVERY_WINDOW)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, without the rounding of a float."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def joined(*parts: str) -> str:
    """Return a string that no other parts, and no other order of them, produce, whatever characters they contain.

    The parts are separated by NUL. NUL and the escape character within a part are escaped, so parts without control
    characters are joined as before escaping was introduced.
    """
    return "\0".join(part.replace(_ESCAPE, _ESCAPE + _ESCAPE).replace("\0", _ESCAPED_NUL) for part in parts)


_ESCAPE, _ESCAPED_NUL = "\x01", "\x01\x02"


def pattern(prefix: str) -> str:
    """Return the regular expression of ids with this prefix."""
    return f"^{prefix}_{ULID}$"


VISIBLE = "[!-~]{1,200}"
"""The regular expression of ids from other systems, as they occur in page tokens."""
