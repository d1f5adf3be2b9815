"""Signing in locally, without a prompt."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.sign_in import Pool, SignedIn, sign_in_as_operator


class _NotAuthorized(Exception):
    pass


class _Exceptions:
    NotAuthorizedException = _NotAuthorized


@dataclass
class _Cognito:
    """A user pool in which others set the same user's password, too."""

    others: int = 0
    exceptions: type[_Exceptions] = _Exceptions
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


def _pool(cognito: Any) -> Pool:  # noqa: ANN401 — stands for boto3's client
    return Pool(cognito, "pool", "client")


class TestSignInAsOperator:
    def test_uses_a_password_that_nobody_knows(self) -> None:
        cognito = _Cognito()
        assert sign_in_as_operator(_pool(cognito), "a@b.c") == SignedIn("token", 900)
        sign_in_as_operator(_pool(cognito), "a@b.c")
        assert len(set(cognito.passwords)) == 2

    def test_tries_again_when_someone_else_was_faster(self) -> None:
        assert sign_in_as_operator(_pool(_Cognito(others=2)), "a@b.c").token == "token"

    def test_gives_up_when_that_does_not_end(self) -> None:
        with pytest.raises(_NotAuthorized):
            sign_in_as_operator(_pool(_Cognito(others=99)), "a@b.c")


class TestSignedIn:
    @pytest.mark.parametrize("email", ["a@b.c", "ab@b.c", "abc@b.c"])
    def test_reads_the_claims_whatever_their_length(self, email: str) -> None:
        part = base64.urlsafe_b64encode(json.dumps({"email": email}).encode()).decode().rstrip("=")
        assert SignedIn(f"h.{part}.s", 900).claims == {"email": email}
