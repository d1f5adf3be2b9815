"""Opaque tokens of a place to go on from, each good for one tenant and one thing only.

A token holds a place, never a key: the keys are made anew from the caller's own tenant.
"""

import base64
import binascii
import hashlib
import json


def seal(place: str, *scope: str) -> str:
    """A token that stands for this place.

    Args:
        place: to go on from.
        scope: what it is a place in: the tenant, the list and its filters.
    """
    text = json.dumps([_mark(scope), place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unseal(token: str, *scope: str) -> str | None:
    """The place that a token stands for, or None when it was not made by `seal` for this scope."""
    try:
        decoded = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    match decoded:
        case [str(mark), str(place)] if mark == _mark(scope):
            return place
        case _:
            return None


def _mark(scope: tuple[str, ...]) -> str:
    # As JSON, in which no part of a scope can run into the next.
    return hashlib.sha256(json.dumps(scope).encode()).hexdigest()[:16]
