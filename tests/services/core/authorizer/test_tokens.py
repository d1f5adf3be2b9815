"""Id tokens of the user pool, verified against its published keys over HTTP."""

import time
from typing import Any

import jwt
import pytest

from services.core.authorizer.gateway import IdTokens, pool_keys
from services.core.authorizer.operations import Callers
from shared.errors import DependencyUnavailable
from shared.tenancy.claims import InvalidToken
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.issuer import AUDIENCE, TokenIssuer, new_key, user_claims

DEVELOPER = user_claims("acme", Role.DEVELOPER)


class TestIdentify:
    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
    def test_returns_the_user_of_a_valid_token(self, callers: Callers, issuer: TokenIssuer, scheme: str) -> None:
        claims = callers.identify(scheme + issuer.token(DEVELOPER), now=utc_now())
        assert (claims.principal, claims.role, claims.tenant_id) == ("user:8f1c", Role.DEVELOPER, "acme")
        assert claims.scopes is None
        assert claims.expires_at

    def test_returns_a_platform_admin_without_a_tenant(self, callers: Callers, issuer: TokenIssuer) -> None:
        claims = callers.identify(issuer.token(user_claims(None, Role.PLATFORM_ADMIN)), now=utc_now())
        assert claims.tenant_id is None

    def test_returns_the_features_of_the_token(self, callers: Callers, issuer: TokenIssuer) -> None:
        token = issuer.token(DEVELOPER | {"custom:features": '["agents"]'})
        assert callers.identify(token, now=utc_now()).features == ("agents",)

    @pytest.mark.parametrize("text", ["not json", '{"agents": true}', '"agents"', "[]"])
    def test_reads_an_invalid_claim_of_features_as_none(self, callers: Callers, issuer: TokenIssuer, text: str) -> None:
        assert callers.identify(issuer.token(DEVELOPER | {"custom:features": text}), now=utc_now()).features == ()

    @pytest.mark.parametrize(
        "change",
        [
            {"token_use": "access"},
            {"token_use": None},
            {"aud": "another-client"},
            {"aud": None},
            {"aud": ["another-client"]},
            {"iss": "https://cognito-idp.us-east-2.amazonaws.com/another"},
            {"iss": None},
            {"exp": 1_700_000_000},
            {"exp": None},
            {"sub": None},
            {"custom:role": None},
            {"custom:role": "root"},
            {"custom:role": "platform_admin"},
            {"custom:tenant_id": None},
            {"custom:tenant_id": ""},
        ],
        ids=str,
    )
    def test_refuses_other_claims(self, callers: Callers, issuer: TokenIssuer, change: dict[str, Any]) -> None:
        token = issuer.token(DEVELOPER | change)
        with pytest.raises(InvalidToken, match="Invalid authentication token"):
            callers.identify(f"Bearer {token}", now=utc_now())

    def test_refuses_a_token_that_is_not_valid_yet(self, callers: Callers, issuer: TokenIssuer) -> None:
        token = issuer.token(DEVELOPER | {"nbf": int(time.time()) + 60})
        with pytest.raises(InvalidToken):
            callers.identify(token, now=utc_now())

    @pytest.mark.parametrize("header", ["", " ", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "a.b.c", "Bearer é"])
    def test_refuses_what_is_no_token(self, callers: Callers, header: str) -> None:
        with pytest.raises(InvalidToken):
            callers.identify(header, now=utc_now())


class TestSignature:
    def test_of_another_key_is_refused(self, callers: Callers, issuer: TokenIssuer) -> None:
        with pytest.raises(InvalidToken):
            callers.identify(TokenIssuer(issuer.url).token(DEVELOPER), now=utc_now())

    @pytest.mark.parametrize("algorithm", ["none", "RS512", "PS256"])
    def test_by_another_algorithm_is_refused(self, callers: Callers, issuer: TokenIssuer, algorithm: str) -> None:
        key = "" if algorithm == "none" else issuer.key
        token = jwt.encode(issuer.payload(DEVELOPER), key, algorithm=algorithm, headers={"kid": issuer.kid})
        with pytest.raises(InvalidToken):
            callers.identify(token, now=utc_now())

    def test_with_a_changed_payload_is_refused(self, callers: Callers, issuer: TokenIssuer) -> None:
        head, _, signature = issuer.token(DEVELOPER).split(".")
        _, payload, _ = issuer.token(user_claims("other", Role.TENANT_ADMIN)).split(".")
        with pytest.raises(InvalidToken):
            callers.identify(f"{head}.{payload}.{signature}", now=utc_now())


class TestPoolKeys:
    def test_are_read_once_for_many_tokens(self, tokens: IdTokens, issuer: TokenIssuer) -> None:
        for _ in range(3):
            tokens.payload_of(issuer.token(DEVELOPER))
        assert issuer.reads == 1

    def test_are_read_again_for_a_new_key_of_the_pool(self, tokens: IdTokens, issuer: TokenIssuer) -> None:
        tokens.payload_of(issuer.token(DEVELOPER))
        issuer.key, issuer.kid = new_key(), "second"
        assert tokens.payload_of(issuer.token(DEVELOPER))["sub"] == "8f1c"

    def test_are_read_at_most_every_ten_seconds_for_unknown_ids(self, issuer: TokenIssuer) -> None:
        seconds = [0.0]
        keys = pool_keys(f"{issuer.url}/.well-known/jwks.json")
        tokens = IdTokens(issuer=issuer.url, audience=AUDIENCE, keys=keys, monotonic=lambda: seconds[0])
        tokens.payload_of(issuer.token(DEVELOPER))
        unknown = issuer.token(DEVELOPER, headers={"kid": "unknown"})
        for at, reads in ((1.0, 2), (2.0, 2), (10.9, 2), (11.0, 3)):
            seconds[0] = at
            with pytest.raises(InvalidToken):
                tokens.payload_of(unknown)
            assert issuer.reads == reads

    def test_that_cannot_be_read_are_an_outage_and_no_refusal(self) -> None:
        url = "http://127.0.0.1:9/pool"
        tokens = IdTokens(issuer=url, audience=AUDIENCE, keys=pool_keys(f"{url}/.well-known/jwks.json"))
        with pytest.raises(DependencyUnavailable):
            tokens.payload_of(TokenIssuer(url).token(DEVELOPER))
