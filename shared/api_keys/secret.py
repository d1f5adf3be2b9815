"""The text of API keys: `anx_<environment>_<43 random characters><6 characters of checksum>`.

The checksum lets secret scanners recognize a leaked key without asking the API, and lets the authorizer refuse a
mistyped one without reading anything. It protects nothing: the random part does.
"""

import hashlib
import re
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_BYTES = 32
_RANDOM_CHARS, _CHECKSUM_CHARS = 43, 6
_PREFIX_CHARS = 6
"""Random characters in a key's visible prefix: enough to recognize it, far too few to guess the rest."""
_FORM = re.compile(rf"anx_[a-z]{{1,16}}_[0-9A-Za-z]{{{_RANDOM_CHARS + _CHECKSUM_CHARS}}}", re.ASCII)


def new_secret(environment: str, random: bytes) -> str:
    """Return a new API key.

    Args:
        environment: the name of the environment, which alone accepts the key.
        random: 32 random bytes.
    """
    body = f"anx_{environment}_{_base62(int.from_bytes(random), _RANDOM_CHARS)}"
    return body + _checksum(body)


def is_well_formed(text: str, *, environment: str) -> bool:
    """Return whether a text has the form of an API key of an environment, with the right checksum."""
    body, checksum = text[:-_CHECKSUM_CHARS], text[-_CHECKSUM_CHARS:]
    return _FORM.fullmatch(text) is not None and text.startswith(f"anx_{environment}_") and _checksum(body) == checksum


def looks_like_key(text: str) -> bool:
    """Return whether a text claims to be an API key, so that it is no id token."""
    return text.startswith("anx_")


def hash_of(secret: str) -> str:
    """Return the SHA-256 of a key as 64 hex digits. It needs no salt, because the key is random."""
    return hashlib.sha256(secret.encode()).hexdigest()


def visible_prefix(secret: str) -> str:
    """Return the beginning of a key, by which people recognize it."""
    return secret[: -(_RANDOM_CHARS + _CHECKSUM_CHARS) + _PREFIX_CHARS]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_CHARS)


def _base62(number: int, chars: int) -> str:
    digits = ""
    for _ in range(chars):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
