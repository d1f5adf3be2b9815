"""Signing in at the user pool."""

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.errors import Refused
from cli.seed import new_password
from cli.srp import sign_in_by_srp
from cli.target import Target

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient

_TRIES = 5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An id token and how long it is good for."""

    token: str
    expires_in_s: int

    @property
    def claims(self) -> dict[str, Any]:
        """What it says of the user; for display and routing alone, since nobody checks it here."""
        part = self.token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@dataclass(frozen=True, slots=True)
class Pool:
    """A user pool, and the client by which users sign in."""

    cognito: "CognitoIdentityProviderClient"
    pool_id: str
    client_id: str

    @classmethod
    def of(cls, target: Target) -> "Pool":
        """The pool of an environment."""
        return cls(target.clients.cognito, target.outputs["UserPoolId"], target.outputs["UserPoolClientId"])


def sign_in(target: Target, email: str) -> SignedIn:
    """Sign a user in: locally without a prompt, elsewhere with the password.

    Raises:
        Refused: there is no such user, or the password is wrong.
    """
    pool = Pool.of(target)
    errors = pool.cognito.exceptions
    try:
        return sign_in_as_operator(pool, email) if target.is_local else _sign_in_by_prompt(pool, email)
    except errors.UserNotFoundException as error:
        msg = f"There is no user {email} in {target.environment}. `ainexus seed` makes the default users."
        raise Refused(msg) from error
    except errors.NotAuthorizedException as error:
        msg = f"{email} cannot sign in: {error.response.get('Error', {}).get('Message', '')}"
        raise Refused(msg) from error


def sign_in_as_operator(pool: Pool, email: str) -> SignedIn:
    """Give the user a password that nobody knows, and use it at once.

    Someone who does the same for the same user in between makes it wrong; then it is done again.
    """
    for left in reversed(range(_TRIES)):
        password = new_password()
        pool.cognito.admin_set_user_password(UserPoolId=pool.pool_id, Username=email, Password=password, Permanent=True)
        try:
            return _signed_in(_begin(pool, email=email, password=password))
        except pool.cognito.exceptions.NotAuthorizedException:
            if not left:
                raise
    raise AssertionError


def _sign_in_by_prompt(pool: Pool, email: str) -> SignedIn:
    answer = sign_in_by_srp(
        pool.cognito,
        pool_id=pool.pool_id,
        client_id=pool.client_id,
        email=email,
        password=str(click.prompt(f"Password of {email}", hide_input=True, err=True)),
        ask_new=lambda: str(click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)),
    )
    return _signed_in(answer)


def _begin(pool: Pool, *, email: str, password: str) -> Any:  # noqa: ANN401 — two shapes of answer
    return pool.cognito.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": password},
    )


def _signed_in(answer: Any) -> SignedIn:  # noqa: ANN401 — two shapes of answer
    result = answer.get("AuthenticationResult")
    if not result or "IdToken" not in result:
        msg = f"The sign-in asks for {answer.get('ChallengeName')}, which this command cannot do."
        raise Refused(msg)
    return SignedIn(result["IdToken"], int(result.get("ExpiresIn", 0)))
