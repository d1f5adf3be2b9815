"""Signature Version 4: which headers make a request one of ours.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

BODY_HASH = "x-amz-content-sha256"


class Keys(NamedTuple):
    """What a request is signed with."""

    access_key: str
    secret_key: str
    token: str | None
    """Of temporary keys."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature is good."""

    service: str
    """As it signs: `dynamodb`."""
    region: str


def sign(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, keys: Keys, scope: Scope, at: datetime
) -> dict[str, str]:
    """The headers of the request, with those that sign it.

    Args:
        method: `POST`.
        path: without a query, as it is sent; only S3 takes one with escapes.
        headers: in lower case, with `host`; all of them are signed. S3 wants the body's hash among them.
        body: as it is sent.
        keys: whose request it is.
        scope: where it is sent to.
        at: the time, in UTC; AWS accepts it for five minutes.
    """
    moment = f"{at:%Y%m%dT%H%M%SZ}"
    named = {**headers, "x-amz-date": moment}
    if keys.token:
        named["x-amz-security-token"] = keys.token
    names = sorted(named)
    listed, written = ";".join(names), "".join(f"{name}:{named[name]}\n" for name in names)
    digest = headers.get(BODY_HASH) or hashlib.sha256(body).hexdigest()
    canonical = "\n".join((method, path, "", written, listed, digest))
    within = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{within}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(keys.secret_key, moment[:8], scope)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    named["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{within}, SignedHeaders={listed}, Signature={signature}"
    )
    return named


@lru_cache(maxsize=64)
def _signing_key(secret_key: str, day: str, scope: Scope) -> bytes:
    """Good for a day; the tenants of a container each have their own."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
