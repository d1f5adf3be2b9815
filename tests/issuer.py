"""A user pool's side of id tokens: a key pair, signed tokens, and the public keys at an address on this machine."""

import json
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from shared.tenancy.permissions import Role

AUDIENCE = "our-client"
"""The app client whose tokens are accepted."""


def new_key() -> RSAPrivateKey:
    """Return a new RSA key."""
    return generate_private_key(public_exponent=65_537, key_size=2048)


@dataclass
class TokenIssuer:
    """The issuer of one pool's tokens."""

    url: str
    key: RSAPrivateKey = field(default_factory=new_key)
    kid: str = "first"
    reads: int = 0
    """How often the public keys were read."""

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys as JSON (RFC 7517)."""
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.kid, "alg": "RS256", "use": "sig"}]}

    def token(self, claims: Mapping[str, Any], *, headers: Mapping[str, Any] | None = None) -> str:
        """Return a signed token with these claims, valid for 15 minutes unless they have other times."""
        return jwt.encode(
            self.payload(claims), self.key, algorithm="RS256", headers={"kid": self.kid, **(headers or {})}
        )

    def payload(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payload of a token with these claims; those that are None are left out."""
        now = int(time.time())
        payload = {"iss": self.url, "aud": AUDIENCE, "token_use": "id", "iat": now, "exp": now + 900, **claims}
        return {name: value for name, value in payload.items() if value is not None}


def user_claims(tenant_id: str | None, role: Role, *, user_id: str = "8f1c") -> dict[str, str]:
    """Return the claims of a user of this platform."""
    own = {} if tenant_id is None else {"custom:tenant_id": tenant_id}
    return {"sub": user_id, "custom:role": role.value, **own}


@contextmanager
def start_issuer() -> Generator[TokenIssuer]:
    """Serve the public keys of a new pool at a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.reads += 1
            body = json.dumps(issuer.jwks).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the name in the base class
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TokenIssuer(f"http://127.0.0.1:{server.server_port}/us-east-2_pool")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
