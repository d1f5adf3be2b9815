"""The real user pool."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from services.tenants.errors import AddressNotValid, IdentityUnavailable, UserOfAnotherTenant
from services.tenants.gateways.identity import NewUser, PoolUser, SignIn
from shared.tenancy.permissions import ALL_FEATURES


class CognitoIdentity:
    """Amazon Cognito. Its answers about one user differ in where the attributes are, and in nothing else."""

    def __init__(self, client: Any, *, user_pool_id: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._pool = user_pool_id

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:
        """See `Identity.ensure`."""
        request: dict[str, Any] = {
            "Username": user.email,
            "UserAttributes": _to_attributes(user),
            "MessageAction": "SUPPRESS",
        }
        if temporary_password is not None:
            request["TemporaryPassword"] = temporary_password
        try:
            answer = self._call(self._client.admin_create_user, **request)
        except self._client.exceptions.UsernameExistsException:
            return self._existing(user)
        except self._client.exceptions.InvalidParameterException as error:
            raise AddressNotValid from error
        made = _pool_user(answer["User"], answer["User"]["Attributes"])
        return SignIn(made.user_id, made.username, created=True)

    def find(self, email: str) -> PoolUser | None:
        """See `Identity.find`."""
        try:
            answer = self._call(self._client.admin_get_user, Username=email)
        except self._client.exceptions.UserNotFoundException:
            return None
        return _pool_user(answer, answer["UserAttributes"])

    def all(self) -> Iterator[PoolUser]:
        """See `Identity.all`."""
        more: dict[str, str] = {}
        while True:
            answer = self._call(self._client.list_users, **more)
            yield from (_pool_user(user, user["Attributes"]) for user in answer["Users"])
            if "PaginationToken" not in answer:
                return
            more = {"PaginationToken": answer["PaginationToken"]}

    def update(self, username: str, user: NewUser) -> None:
        """See `Identity.update`."""
        # The tenant and the address of a user never change here.
        features = (ALL_FEATURES,) if user.features is None else user.features
        said = _to_attributes(replace(user, features=features))
        wanted = [entry for entry in said if entry["Name"] in _FOLLOWING]
        self._unless_gone(self._client.admin_update_user_attributes, Username=username, UserAttributes=wanted)

    def disable(self, username: str) -> None:
        """See `Identity.disable`."""
        self._unless_gone(self._client.admin_disable_user, Username=username)
        self._unless_gone(self._client.admin_user_global_sign_out, Username=username)

    def remove(self, username: str) -> None:
        """See `Identity.remove`."""
        self._unless_gone(self._client.admin_delete_user, Username=username)

    def _existing(self, user: NewUser) -> SignIn:
        there = self.find(user.email)
        if there is None:
            # It was removed in this moment; the next try makes it.
            raise IdentityUnavailable
        if there.tenant_id != user.tenant_id:
            raise UserOfAnotherTenant
        return SignIn(there.user_id, there.username, created=False)

    def _unless_gone(self, call: Callable[..., Any], **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        try:
            self._call(call, **arguments)
        except self._client.exceptions.UserNotFoundException:
            return

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        expected = self._client.exceptions
        try:
            return call(UserPoolId=self._pool, **arguments)
        except (
            expected.UserNotFoundException,
            expected.UsernameExistsException,
            expected.InvalidParameterException,
        ):
            raise
        except (BotoCoreError, ClientError) as error:
            raise IdentityUnavailable from error


_FOLLOWING = frozenset({"custom:role", "custom:plan", "custom:features"})


def _to_attributes(user: NewUser) -> list[dict[str, str]]:
    attributes = {"email": user.email, "email_verified": "true", "custom:role": user.role.value}
    if user.tenant_id is not None:
        attributes["custom:tenant_id"] = user.tenant_id
    if user.plan is not None:
        attributes["custom:plan"] = user.plan
    if user.features is not None:
        attributes["custom:features"] = json.dumps(list(user.features))
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def _pool_user(user: dict[str, Any], attributes: object) -> PoolUser:
    said = {entry["Name"]: entry["Value"] for entry in cast("list[dict[str, str]]", attributes)}
    return PoolUser(
        user_id=said["sub"],
        username=user["Username"],
        email=str(said.get("email") or user["Username"]).lower(),
        tenant_id=said.get("custom:tenant_id"),
        role=said.get("custom:role"),
        features=_features(said.get("custom:features")),
        enabled=user.get("Enabled", True),
    )


def _features(text: str | None) -> tuple[str, ...] | None:
    """The JSON array of the attribute; one that cannot be read grants nothing, as in a token."""
    if text is None:
        return None
    try:
        names: object = json.loads(text)
    except json.JSONDecodeError:
        return ()
    found = tuple(str(name) for name in cast("list[object]", names)) if isinstance(names, list) else ()
    return None if ALL_FEATURES in found else found
