"""Sign-in on this machine, without a prompt."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.errors import CommandRefused
from cli.sign_in import SignedIn, SignInPool, sign_in_as_operator


class _NotAuthorized(Exception):
    pass


class _CognitoExceptions:
    NotAuthorizedException = _NotAuthorized


@dataclass
class _Cognito:
    """A user pool in which other callers set the same user's password."""

    others: int = 0
    exceptions: type[_CognitoExceptions] = _CognitoExceptions
    passwords: list[str] = field(default_factory=list[str])
    current: str = ""

    def admin_set_user_password(self, *, UserPoolId: str, Username: str, Password: str, Permanent: bool) -> None:  # noqa: N803 — boto3's names
        assert (UserPoolId, Username, Permanent) == ("pool", "a@b.c", True)
        self.passwords.append(Password)
        self.current = "another's" if len(self.passwords) <= self.others else Password

    def initiate_auth(self, *, ClientId: str, AuthFlow: str, AuthParameters: dict[str, str]) -> dict[str, Any]:  # noqa: N803 — as above
        assert (ClientId, AuthFlow) == ("client", "USER_PASSWORD_AUTH")
        if AuthParameters["PASSWORD"] != self.current:
            raise _NotAuthorized
        return {"AuthenticationResult": {"IdToken": "token", "ExpiresIn": 900}}


def _pool(cognito: Any) -> SignInPool:  # noqa: ANN401 — in place of boto3's client
    return SignInPool(cognito, "pool", "client")


class TestSignInAsOperator:
    def test_uses_a_new_random_password(self) -> None:
        cognito = _Cognito()
        assert sign_in_as_operator(_pool(cognito), "a@b.c") == SignedIn("token", 900)
        sign_in_as_operator(_pool(cognito), "a@b.c")
        assert len(set(cognito.passwords)) == 2

    def test_tries_again_if_another_caller_set_a_password(self) -> None:
        assert sign_in_as_operator(_pool(_Cognito(others=2)), "a@b.c").token == "token"

    def test_gives_up_after_five_attempts(self) -> None:
        with pytest.raises(_NotAuthorized):
            sign_in_as_operator(_pool(_Cognito(others=99)), "a@b.c")


class TestSignedIn:
    def test_has_the_tenant_of_its_claims(self) -> None:
        assert _signed_in({"custom:tenant_id": "acme"}).tenant_id == "acme"

    def test_refuses_to_name_the_tenant_of_a_platform_admin(self) -> None:
        with pytest.raises(CommandRefused, match="--tenant"):
            _ = _signed_in({"email": "a@b.c"}).tenant_id

    @pytest.mark.parametrize("email", ["a@b.c", "ab@b.c", "abc@b.c"])
    def test_reads_claims_of_any_length(self, email: str) -> None:
        assert _signed_in({"email": email}).claims == {"email": email}


def _signed_in(claims: dict[str, str]) -> SignedIn:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return SignedIn(f"h.{part}.s", 900)
