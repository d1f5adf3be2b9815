"""Signatures of AWS requests, version 4.

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
    """The credentials that sign a request."""

    access_key: str
    secret_key: str
    token: str | None
    """The session token of temporary credentials."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The service and the region in which a signature is valid."""

    service: str
    """The service's signing name, for example `dynamodb`."""
    region: str


def sign(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, keys: Keys, scope: Scope, at: datetime
) -> dict[str, str]:
    """Return the request's headers with those of its signature.

    Args:
        method: the HTTP method, for example `POST`.
        path: the path as it is sent, without a query; only S3 accepts escapes in it.
        headers: the headers with names in lower case, including `host`; all of them are signed. S3 requires the body's
            hash among them.
        body: the body as it is sent.
        keys: the credentials of the caller.
        scope: the service and the region that receive the request.
        at: the time in UTC; AWS accepts the signature for five minutes.
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
    """Return a signing key, which is valid for one day. Each tenant of a container has keys of its own."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
