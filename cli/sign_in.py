"""Sign-in at the user pool."""

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandRefused
from cli.password import new_password
from cli.srp import sign_in_by_srp
from cli.target import Target

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient

_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An id token and its lifetime."""

    token: str
    expires_in_s: int

    @property
    def claims(self) -> dict[str, Any]:
        """The token's claims, for display and routing only: the signature is not verified here."""
        part = self.token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    @property
    def tenant_id(self) -> str:
        """The user's own tenant.

        Raises:
            CommandRefused: the user has none, as a platform admin.
        """
        tenant_id = self.claims.get("custom:tenant_id")
        if tenant_id is None:
            msg = "This user belongs to no tenant. Name the tenant with --tenant."
            raise CommandRefused(msg)
        return str(tenant_id)


@dataclass(frozen=True, slots=True)
class SignInPool:
    """A user pool and the client that users sign in with."""

    cognito: "CognitoIdentityProviderClient"
    pool_id: str
    client_id: str

    @classmethod
    def of(cls, target: Target) -> "SignInPool":
        """Return the pool of an environment."""
        return cls(target.clients.cognito, target.outputs["UserPoolId"], target.outputs["UserPoolClientId"])


def sign_in(target: Target, email: str) -> SignedIn:
    """Sign a user in: without a prompt on this machine, with the password on AWS.

    Raises:
        CommandRefused: there is no such user, or the password is wrong.
    """
    pool = SignInPool.of(target)
    errors = pool.cognito.exceptions
    try:
        return sign_in_as_operator(pool, email) if target.is_local else _sign_in_by_prompt(pool, email)
    except errors.UserNotFoundException as error:
        msg = f"There is no user {email} in {target.environment}. Create the default users with `ainexus seed`."
        raise CommandRefused(msg) from error
    except errors.NotAuthorizedException as error:
        msg = f"{email} cannot sign in: {error.response.get('Error', {}).get('Message', '')}"
        raise CommandRefused(msg) from error


def sign_in_as_operator(pool: SignInPool, email: str) -> SignedIn:
    """Set a random password and sign in with it at once.

    It is tried again, 5 times in all, if another caller sets a password for the same user in between.
    """
    for left in reversed(range(_MAX_ATTEMPTS)):
        password = new_password()
        pool.cognito.admin_set_user_password(UserPoolId=pool.pool_id, Username=email, Password=password, Permanent=True)
        try:
            return _signed_in(_initiate(pool, email=email, password=password))
        except pool.cognito.exceptions.NotAuthorizedException:
            if not left:
                raise
    raise AssertionError


def _sign_in_by_prompt(pool: SignInPool, email: str) -> SignedIn:
    response = sign_in_by_srp(
        pool.cognito,
        pool_id=pool.pool_id,
        client_id=pool.client_id,
        email=email,
        password=str(click.prompt(f"Password of {email}", hide_input=True, err=True)),
        ask_new=lambda: str(click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)),
    )
    return _signed_in(response)


def _initiate(pool: SignInPool, *, email: str, password: str) -> Any:  # noqa: ANN401 — two shapes of response
    return pool.cognito.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": password},
    )


def _signed_in(response: Any) -> SignedIn:  # noqa: ANN401 — two shapes of response
    result = response.get("AuthenticationResult")
    if not result or "IdToken" not in result:
        msg = f"The user pool requires {response.get('ChallengeName')}, which this command does not support."
        raise CommandRefused(msg)
    return SignedIn(result["IdToken"], int(result.get("ExpiresIn", 0)))
