"""Opaque tokens of a position to continue from, each valid for one tenant and one purpose.

A token holds a position, never a key: the keys are derived from the caller's own tenant.
"""

import base64
import binascii
import hashlib
import json


def seal(place: str, *scope: str) -> str:
    """Return a token that represents a position.

    Args:
        place: the position to continue from.
        scope: the scope of the position: the tenant, the list and its filters.
    """
    text = json.dumps([_mark(scope), place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unseal(token: str, *scope: str) -> str | None:
    """Return the position in a token, or None if the token was not made by `seal` for this scope."""
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
    # JSON separates the parts of a scope unambiguously.
    return hashlib.sha256(json.dumps(scope).encode()).hexdigest()[:16]
