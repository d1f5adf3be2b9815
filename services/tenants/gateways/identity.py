"""The user pool: who can sign in, and what their tokens will say."""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from services.tenants.errors import IdentityUnavailable, UserOfAnotherTenant
from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class NewUser:
    """Someone who is to be able to sign in."""

    email: str
    role: Role
    tenant_id: str | None
    """None for a platform admin."""
    plan: str | None = None
    features: tuple[str, ...] | None = None
    """What the tokens will grant; None: all of the tenant's features."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Someone who can sign in."""

    user_id: str
    """The `sub` of the tokens."""
    created: bool


class Identity(Protocol):
    """What this service asks of the user pool."""

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:
        """Make the user unless it is there.

        Args:
            user: who.
            temporary_password: to be changed at the first sign-in; None lets the pool make one up.

        Raises:
            UserOfAnotherTenant: the address is taken.
            IdentityUnavailable: the pool does not answer.
        """
        ...


class CognitoIdentity:
    """The real user pool."""

    def __init__(self, client: Any, *, user_pool_id: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._pool = user_pool_id

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:
        """See `Identity.ensure`."""
        request: dict[str, Any] = {
            "UserPoolId": self._pool,
            "Username": user.email,
            "UserAttributes": [{"Name": name, "Value": value} for name, value in _attributes(user).items()],
            "MessageAction": "SUPPRESS",
        }
        if temporary_password is not None:
            request["TemporaryPassword"] = temporary_password
        try:
            answer = self._client.admin_create_user(**request)
        except self._client.exceptions.UsernameExistsException:
            return self._existing(user)
        except (BotoCoreError, ClientError) as error:
            raise IdentityUnavailable from error
        return SignIn(_texts(answer["User"]["Attributes"])["sub"], created=True)

    def _existing(self, user: NewUser) -> SignIn:
        try:
            answer = self._client.admin_get_user(UserPoolId=self._pool, Username=user.email)
        except (BotoCoreError, ClientError) as error:
            raise IdentityUnavailable from error
        there = _texts(answer["UserAttributes"])
        if there.get("custom:tenant_id") != user.tenant_id:
            raise UserOfAnotherTenant
        return SignIn(there["sub"], created=False)


@dataclass
class FakeIdentity:
    """A user pool in memory."""

    users: dict[str, NewUser] = field(default_factory=dict[str, NewUser])

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:  # noqa: ARG002 — nobody signs in here
        """See `Identity.ensure`."""
        there = self.users.get(user.email)
        if there and there.tenant_id != user.tenant_id:
            raise UserOfAnotherTenant
        self.users.setdefault(user.email, user)
        return SignIn(f"sub-of-{user.email}", created=there is None)


def _attributes(user: NewUser) -> dict[str, str]:
    attributes = {"email": user.email, "email_verified": "true", "custom:role": user.role.value}
    if user.tenant_id is not None:
        attributes["custom:tenant_id"] = user.tenant_id
    if user.plan is not None:
        attributes["custom:plan"] = user.plan
    if user.features is not None:
        attributes["custom:features"] = json.dumps(list(user.features))
    return attributes


def _texts(attributes: object) -> dict[str, str]:
    return {entry["Name"]: entry["Value"] for entry in cast("list[dict[str, str]]", attributes)}
