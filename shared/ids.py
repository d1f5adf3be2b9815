"""Identifiers: prefixed ULIDs, and the slugs of tenants.

A ULID sorts by the time of its making (https://github.com/ulid/spec): 48 bits of milliseconds, 80 random bits,
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

NEWS_TAKES = timedelta(seconds=60)
"""After this long every event that tells of something has arrived, or waits in the dead letters."""

Entropy = Callable[[int], int]
"""Gives an integer of that many random bits."""


def new_id(prefix: str, now: datetime, *, entropy: Entropy = secrets.randbits) -> str:
    """An identifier such as `run_01J…`, made at `now`."""
    return f"{prefix}_{encode(now, entropy(80))}"


def encode(now: datetime, random_bits: int) -> str:
    """The 26 characters of the ULID of this time and these 80 bits."""
    number = (milliseconds(now) << 80) | random_bits
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def first_at(now: datetime) -> str:
    """The smallest ULID of that millisecond: where a range by time begins."""
    return encode(max(now, _EPOCH), 0)


def is_fresh(identifier: str, *, now: datetime) -> bool:
    """Whether this was made so short ago that the event which tells of it may not have arrived everywhere."""
    ulid = identifier.rpartition("_")[2]
    return first_at(now - NEWS_TAKES) <= ulid < first_at(now + NEWS_TAKES)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, without the rounding of a float."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def joined(*parts: str) -> str:
    """Return one text that only these parts make, in this order, whatever characters they hold.

    The parts are separated by NUL. Where a part itself has a NUL or the escape character, that is escaped, so parts
    without control characters join as they always have.
    """
    return "\0".join(part.replace(_ESCAPE, _ESCAPE + _ESCAPE).replace("\0", _ESCAPED_NUL) for part in parts)


_ESCAPE, _ESCAPED_NUL = "\x01", "\x01\x02"


def pattern(prefix: str) -> str:
    """The regular expression of identifiers with this prefix."""
    return f"^{prefix}_{ULID}$"


VISIBLE = "[!-~]{1,200}"
"""The regular expression of ids that other systems have made, in places of lists."""
