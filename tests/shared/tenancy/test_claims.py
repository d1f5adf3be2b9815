"""Claims of trusted tokens."""

from typing import Any

import pytest

from shared.tenancy.claims import Claims, InvalidToken, read_claims
from shared.tenancy.permissions import Role

AUDIENCE = "our-client"
TOKEN = {"token_use": "id", "aud": AUDIENCE, "sub": "8f1c", "custom:role": "developer", "custom:tenant_id": "acme"}


class TestReadClaims:
    def test_returns_the_claims_of_a_user(self) -> None:
        assert read_claims(TOKEN, audience=AUDIENCE) == Claims("8f1c", Role.DEVELOPER, "acme", None)

    def test_returns_no_tenant_for_a_platform_admin(self) -> None:
        token = {"token_use": "id", "aud": AUDIENCE, "sub": "1", "custom:role": "platform_admin"}
        assert read_claims(token, audience=AUDIENCE) == Claims("1", Role.PLATFORM_ADMIN, None, None)

    @pytest.mark.parametrize(
        "change",
        [
            {"token_use": "access"},
            {"token_use": None},
            {"aud": "another-client"},
            {"aud": None},
            {"aud": [AUDIENCE]},
            {"custom:role": None},
            {"custom:role": "root"},
            {"custom:role": "platform_admin"},
            {"custom:tenant_id": None},
            {"custom:tenant_id": ""},
            {"sub": None},
            {"sub": 1},
        ],
        ids=str,
    )
    def test_refuses_an_invalid_token(self, change: dict[str, Any]) -> None:
        with pytest.raises(InvalidToken, match=r"Invalid authentication token\."):
            read_claims(TOKEN | change, audience=AUDIENCE)

    def test_refuses_empty_claims(self) -> None:
        with pytest.raises(InvalidToken):
            read_claims({}, audience=AUDIENCE)

    @pytest.mark.parametrize(
        ("text", "features"),
        [
            ('["agents","linting"]', ("agents", "linting")),
            ("[]", ()),
            ('["all"]', ("all",)),
            ("not json", ()),
            ('{"agents": true}', ()),
            ('"agents"', ()),
        ],
    )
    def test_returns_no_features_for_an_invalid_claim(self, text: str, features: tuple[str, ...]) -> None:
        assert read_claims(TOKEN | {"custom:features": text}, audience=AUDIENCE).features == features
