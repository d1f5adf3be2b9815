"""Which tokens are trusted, and what they say."""

from typing import Any

import pytest

from shared.tenancy.claims import Claims, InvalidToken, read_claims
from shared.tenancy.permissions import Role

OURS = "our-client"
TOKEN = {"token_use": "id", "aud": OURS, "sub": "8f1c", "custom:role": "developer", "custom:tenant_id": "acme"}


class TestReadClaims:
    def test_says_who_bears_the_token(self) -> None:
        assert read_claims(TOKEN, audience=OURS) == Claims("8f1c", Role.DEVELOPER, "acme", None)

    def test_a_platform_admin_has_no_tenant(self) -> None:
        token = {"token_use": "id", "aud": OURS, "sub": "1", "custom:role": "platform_admin"}
        assert read_claims(token, audience=OURS) == Claims("1", Role.PLATFORM_ADMIN, None, None)

    @pytest.mark.parametrize(
        "change",
        [
            {"token_use": "access"},
            {"token_use": None},
            {"aud": "another-client"},
            {"aud": None},
            {"aud": [OURS]},
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
    def test_refuses_a_token_that_is_not_ours(self, change: dict[str, Any]) -> None:
        with pytest.raises(InvalidToken, match="Invalid authentication token"):
            read_claims(TOKEN | change, audience=OURS)

    def test_refuses_no_claims_at_all(self) -> None:
        with pytest.raises(InvalidToken):
            read_claims({}, audience=OURS)

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
    def test_features_that_cannot_be_read_grant_nothing(self, text: str, features: tuple[str, ...]) -> None:
        assert read_claims(TOKEN | {"custom:features": text}, audience=OURS).features == features
