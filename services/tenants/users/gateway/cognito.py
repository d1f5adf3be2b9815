"""The user pool in Amazon Cognito."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from services.tenants.errors import AddressNotValid, AddressTaken, UserOfAnotherTenant, UserPoolUnavailable
from services.tenants.users.gateway.user_pool import PoolUser, PoolUserAttributes, PoolUserIds
from shared.aws.errors import is_outage
from shared.tenancy.permissions import ALL_FEATURES


class CognitoUserPool:
    """An Amazon Cognito user pool. Its responses differ only in the field that holds a user's attributes."""

    def __init__(self, client: Any, *, user_pool_id: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._pool = user_pool_id

    def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> PoolUserIds:
        """See `UserPool.ensure`."""
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
        return PoolUserIds(made.user_id, made.username, created=True)

    def find(self, email: str) -> PoolUser | None:
        """See `UserPool.find`."""
        try:
            answer = self._call(self._client.admin_get_user, Username=email)
        except self._client.exceptions.UserNotFoundException:
            return None
        except self._client.exceptions.InvalidParameterException as error:
            raise AddressNotValid from error
        return _pool_user(answer, answer["UserAttributes"])

    def address_of(self, username: str) -> str | None:
        """See `UserPool.address_of`."""
        found = self.find(username)
        return found.email if found else None

    def page(self, token: str | None) -> tuple[list[PoolUser], str | None]:
        """See `UserPool.page`."""
        answer = self._call(self._client.list_users, **({"PaginationToken": token} if token else {}))
        return [_pool_user(user, user["Attributes"]) for user in answer["Users"]], answer.get("PaginationToken")

    def all(self) -> Iterator[PoolUser]:
        """See `UserPool.all`."""
        token: str | None = None
        while True:
            users, token = self.page(token)
            yield from users
            if token is None:
                return

    def update(self, username: str, user: PoolUserAttributes) -> None:
        """See `UserPool.update`."""
        # The tenant of a user never changes, so it is not written again.
        features = (ALL_FEATURES,) if user.features is None else user.features
        attributes = _to_attributes(replace(user, features=features))
        try:
            self._set(username, attributes, only=_UPDATED_ATTRIBUTES)
        except self._client.exceptions.AliasExistsException as error:
            self._set(username, attributes, only=_TOKEN_ATTRIBUTES)
            existing = self.find(user.email)
            if existing is None or existing.username != username:
                raise AddressTaken from error
        except self._client.exceptions.InvalidParameterException as error:
            self._set(username, attributes, only=_TOKEN_ATTRIBUTES)
            raise AddressNotValid from error

    def _set(self, username: str, attributes: list[dict[str, str]], *, only: frozenset[str]) -> None:
        selected = [entry for entry in attributes if entry["Name"] in only]
        self._call_unless_missing(self._client.admin_update_user_attributes, Username=username, UserAttributes=selected)

    def disable(self, username: str) -> None:
        """See `UserPool.disable`."""
        self._call_unless_missing(self._client.admin_disable_user, Username=username)
        self._call_unless_missing(self._client.admin_user_global_sign_out, Username=username)

    def remove(self, username: str) -> None:
        """See `UserPool.remove`."""
        self._call_unless_missing(self._client.admin_delete_user, Username=username)

    def _existing(self, user: PoolUserAttributes) -> PoolUserIds:
        existing = self.find(user.email)
        if existing is None:
            # The user was removed meanwhile. A retry creates it.
            raise UserPoolUnavailable
        if existing.tenant_id != user.tenant_id:
            raise UserOfAnotherTenant
        return PoolUserIds(existing.user_id, existing.username, created=False)

    def _call_unless_missing(self, call: Callable[..., Any], **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        try:
            self._call(call, **arguments)
        except self._client.exceptions.UserNotFoundException:
            return

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        try:
            return call(UserPoolId=self._pool, **arguments)
        except (BotoCoreError, ClientError) as error:
            # A refusal of one user is no outage: it must not delay the others.
            if is_outage(error):
                raise UserPoolUnavailable from error
            raise


_TOKEN_ATTRIBUTES = frozenset({"custom:role", "custom:plan", "custom:features"})
_UPDATED_ATTRIBUTES = _TOKEN_ATTRIBUTES | {"email", "email_verified"}


def _to_attributes(user: PoolUserAttributes) -> list[dict[str, str]]:
    attributes = {"email": user.email, "email_verified": "true", "custom:role": user.role.value}
    if user.tenant_id is not None:
        attributes["custom:tenant_id"] = user.tenant_id
    if user.plan is not None:
        attributes["custom:plan"] = user.plan
    if user.features is not None:
        attributes["custom:features"] = json.dumps(list(user.features))
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def _pool_user(user: dict[str, Any], attributes: object) -> PoolUser:
    payload = {entry["Name"]: entry["Value"] for entry in cast("list[dict[str, str]]", attributes)}
    return PoolUser(
        user_id=payload["sub"],
        username=user["Username"],
        email=str(payload.get("email") or user["Username"]).lower(),
        tenant_id=payload.get("custom:tenant_id"),
        role=payload.get("custom:role"),
        features=_features(payload.get("custom:features")),
        enabled=user.get("Enabled", True),
    )


def _features(text: str | None) -> tuple[str, ...] | None:
    """Return the features in the attribute's JSON array. Invalid JSON grants none, as in a token."""
    if text is None:
        return None
    try:
        names: object = json.loads(text)
    except json.JSONDecodeError:
        return ()
    found = tuple(str(name) for name in cast("list[object]", names)) if isinstance(names, list) else ()
    return None if ALL_FEATURES in found else found
