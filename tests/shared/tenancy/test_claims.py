"""The authorizer's context."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.tenancy.claims import Claims, InvalidToken, read_claims
from shared.tenancy.permissions import Role

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
USER = Claims("user:8f1c", Role.DEVELOPER, "acme", features=("agents",), expires_at=NOW + timedelta(minutes=15))
CONTEXT = USER.to_context()


class TestReadClaims:
    @pytest.mark.parametrize(
        "claims",
        [
            USER,
            Claims("user:1", Role.PLATFORM_ADMIN, None),
            Claims("key:key_1", Role.OBSERVER, "acme", scopes=frozenset({"runs:read", "runs:write"})),
        ],
        ids=["a user", "a platform admin", "an API key"],
    )
    def test_returns_the_claims_that_were_passed_on(self, claims: Claims) -> None:
        assert read_claims(claims.to_context(), now=NOW) == claims

    def test_context_holds_text_alone(self) -> None:
        assert all(isinstance(value, str) for value in CONTEXT.values())

    @pytest.mark.parametrize(
        "change",
        [
            {"principal": None},
            {"role": None},
            {"role": "root"},
            {"role": "platform_admin"},
            {"tenant_id": None},
            {"tenant_id": ""},
            {"expires_at": "soon"},
            {"expires_at": "1e999"},
        ],
        ids=str,
    )
    def test_refuses_an_incomplete_context(self, change: dict[str, str | None]) -> None:
        with pytest.raises(InvalidToken, match="Invalid authentication token"):
            read_claims(CONTEXT | change, now=NOW)

    def test_refuses_an_empty_context(self) -> None:
        with pytest.raises(InvalidToken):
            read_claims({}, now=NOW)

    def test_refuses_a_token_that_has_expired_since_it_was_checked(self) -> None:
        assert read_claims(CONTEXT, now=NOW + timedelta(minutes=15, seconds=-1)) == USER
        with pytest.raises(InvalidToken):
            read_claims(CONTEXT, now=NOW + timedelta(minutes=15))

    @pytest.mark.parametrize("text", ["not json", '{"agents": true}', '"agents"', "[]"])
    def test_reads_invalid_features_and_scopes_as_none_granted(self, text: str) -> None:
        claims = read_claims(CONTEXT | {"features": text, "scopes": text}, now=NOW)
        assert (claims.features, claims.scopes) == ((), frozenset())

    def test_ignores_unknown_scopes(self) -> None:
        claims = read_claims(CONTEXT | {"scopes": '["runs:read", "api-keys:write", "everything"]'}, now=NOW)
        assert claims.scopes == {"runs:read"}
