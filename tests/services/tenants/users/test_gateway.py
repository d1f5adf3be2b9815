"""The user pool: Cognito and the fake behave alike."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.tenants.errors import AddressNotValid, AddressTaken, UserOfAnotherTenant, UserPoolUnavailable
from services.tenants.users.gateway.cognito import CognitoUserPool
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.gateway.user_pool import PoolUser, PoolUserAttributes, UserPool
from shared.aws.errors import is_outage
from shared.tenancy.permissions import Role
from tests.services.tenants.pool import make_pool
from tests.tables import tables

DEVELOPER = PoolUserAttributes("dev@acme.com", Role.DEVELOPER, "acme", "pro", ("agents", "experiments"))
PASSWORD = "Temporary-1234"


@pytest.fixture(name="pool")
def _pool() -> Iterator[tuple[Any, str]]:
    with tables():
        yield make_pool()


@pytest.fixture(name="user_pool", params=["cognito", "fake"])
def make_user_pool(request: pytest.FixtureRequest, pool: tuple[Any, str]) -> UserPool:
    client, pool_id = pool
    return CognitoUserPool(client, user_pool_id=pool_id) if request.param == "cognito" else FakeUserPool()


class TestEnsure:
    def test_creates_a_user_once(self, user_pool: UserPool) -> None:
        first = user_pool.ensure(DEVELOPER, temporary_password=PASSWORD)
        second = user_pool.ensure(DEVELOPER, temporary_password=PASSWORD)
        assert (first.created, second.created) == (True, False)
        assert first.user_id == second.user_id

    def test_creates_two_users_for_two_addresses(self, user_pool: UserPool) -> None:
        one = user_pool.ensure(DEVELOPER, temporary_password=None)
        other = user_pool.ensure(PoolUserAttributes("b@acme.com", Role.ANALYST, "acme"), temporary_password=None)
        assert one.user_id != other.user_id

    @pytest.mark.parametrize("tenant_id", ["other", None])
    def test_refuses_an_address_of_another_tenant(self, user_pool: UserPool, tenant_id: str | None) -> None:
        user_pool.ensure(DEVELOPER, temporary_password=None)
        with pytest.raises(UserOfAnotherTenant):
            user_pool.ensure(PoolUserAttributes("dev@acme.com", Role.DEVELOPER, tenant_id), temporary_password=None)

    def test_a_platform_admin_can_be_ensured_again(self, user_pool: UserPool) -> None:
        admin = PoolUserAttributes("root@platform.com", Role.PLATFORM_ADMIN, None)
        made = [user_pool.ensure(admin, temporary_password=None).created for _ in range(2)]
        assert made == [True, False]


class TestExistingUser:
    def ensured(self, user_pool: UserPool) -> str:
        return user_pool.ensure(DEVELOPER, temporary_password=PASSWORD).username

    def test_finds_a_user_by_address(self, user_pool: UserPool) -> None:
        made = user_pool.ensure(DEVELOPER, temporary_password=PASSWORD)
        found = user_pool.find(DEVELOPER.email)
        assert found == PoolUser(
            made.user_id, made.username, DEVELOPER.email, "acme", "developer", ("agents", "experiments"), enabled=True
        )
        assert list(user_pool.all()) == [found]
        assert user_pool.find("nobody@acme.com") is None

    def test_updates_role_plan_and_features(self, user_pool: UserPool) -> None:
        name = self.ensured(user_pool)
        user_pool.update(name, PoolUserAttributes(DEVELOPER.email, Role.ANALYST, "acme", "enterprise", ("linting",)))
        found = user_pool.find(DEVELOPER.email)
        assert found
        assert (found.tenant_id, found.role, found.features) == ("acme", "analyst", ("linting",))
        user_pool.update(name, PoolUserAttributes(DEVELOPER.email, Role.ANALYST, "acme", "enterprise", None))
        found = user_pool.find(DEVELOPER.email)
        assert found
        assert found.features is None

    def test_changed_address_keeps_the_user(self, user_pool: UserPool) -> None:
        made = user_pool.ensure(DEVELOPER, temporary_password=PASSWORD)
        for _ in range(2):
            user_pool.update(made.username, replace(DEVELOPER, email="new@acme.com"))
        found = user_pool.find("new@acme.com")
        assert found
        assert (found.user_id, found.username) == (made.user_id, made.username)
        assert user_pool.address_of(made.username) == "new@acme.com"
        assert user_pool.find(DEVELOPER.email) is None
        assert user_pool.ensure(DEVELOPER, temporary_password=None).user_id != made.user_id

    def test_refuses_an_address_in_use_but_sets_the_role(self, user_pool: UserPool) -> None:
        name = self.ensured(user_pool)
        user_pool.ensure(PoolUserAttributes("b@other.com", Role.ANALYST, "other"), temporary_password=None)
        with pytest.raises(AddressTaken):
            user_pool.update(name, replace(DEVELOPER, email="b@other.com", role=Role.OBSERVER))
        found = user_pool.find(DEVELOPER.email)
        assert found
        assert found.role == "observer"

    def test_disabled_user_remains_and_cannot_sign_in(self, user_pool: UserPool) -> None:
        name = self.ensured(user_pool)
        for _ in range(2):
            user_pool.disable(name)
        found = user_pool.find(DEVELOPER.email)
        assert found
        assert not found.enabled

    def test_removed_user_leaves_nothing(self, user_pool: UserPool) -> None:
        name = self.ensured(user_pool)
        for _ in range(2):
            user_pool.remove(name)
        assert list(user_pool.all()) == []
        assert user_pool.address_of(name) is None
        user_pool.disable(name)
        user_pool.update(name, DEVELOPER)


class TestCognitoUserPool:
    def attributes(self, pool: tuple[Any, str], user: PoolUserAttributes) -> dict[str, str]:
        client, pool_id = pool
        pool_ids = CognitoUserPool(client, user_pool_id=pool_id).ensure(user, temporary_password=PASSWORD)
        found = client.admin_get_user(UserPoolId=pool_id, Username=user.email)
        attributes = {entry["Name"]: entry["Value"] for entry in found["UserAttributes"]}
        assert attributes.pop("sub") == pool_ids.user_id
        return attributes

    def test_sets_tenant_role_plan_and_features_for_the_tokens(self, pool: tuple[Any, str]) -> None:
        attributes = self.attributes(pool, DEVELOPER)
        assert json.loads(attributes.pop("custom:features")) == ["agents", "experiments"]
        assert attributes == {
            "email": "dev@acme.com",
            "email_verified": "true",
            "custom:tenant_id": "acme",
            "custom:role": "developer",
            "custom:plan": "pro",
        }

    def test_omits_attributes_that_do_not_apply(self, pool: tuple[Any, str]) -> None:
        attributes = self.attributes(pool, PoolUserAttributes("root@platform.com", Role.PLATFORM_ADMIN, None))
        custom = {name for name in attributes if name.startswith("custom:")}
        assert custom == {"custom:role"}

    def test_raises_unavailable_for_a_missing_pool(self, pool: tuple[Any, str]) -> None:
        with pytest.raises(UserPoolUnavailable):
            CognitoUserPool(pool[0], user_pool_id="us-east-2_missing").ensure(DEVELOPER, temporary_password=None)

    def test_raises_unavailable_for_an_unreachable_pool(self, pool: tuple[Any, str]) -> None:
        class UnavailableClient:
            exceptions = pool[0].exceptions

            def admin_create_user(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore
                raise EndpointConnectionError(endpoint_url="https://pool.invalid")

        with pytest.raises(UserPoolUnavailable):
            CognitoUserPool(UnavailableClient(), user_pool_id="x").ensure(DEVELOPER, temporary_password=None)

    def test_refuses_an_address_that_the_pool_cannot_look_up(self, pool: tuple[Any, str]) -> None:
        refusing = RefusingClient(pool[0].exceptions, "InvalidParameterException")
        with pytest.raises(AddressNotValid):
            CognitoUserPool(refusing, user_pool_id="x").find("no address")

    def test_refusal_of_one_user_is_no_outage(self, pool: tuple[Any, str]) -> None:
        refusing = RefusingClient(pool[0].exceptions, "UnsupportedUserStateException")
        with pytest.raises(ClientError) as refused:
            CognitoUserPool(refusing, user_pool_id="x").update("name", DEVELOPER)
        assert not is_outage(refused.value)

    @pytest.mark.parametrize("code", ["TooManyRequestsException", "AccessDeniedException"])
    def test_throttling_and_missing_permissions_are_outages(self, pool: tuple[Any, str], code: str) -> None:
        refusing = RefusingClient(pool[0].exceptions, code)
        with pytest.raises(UserPoolUnavailable):
            CognitoUserPool(refusing, user_pool_id="x").update("name", DEVELOPER)


class RefusingClient:
    """A client of Cognito that refuses every request."""

    def __init__(self, exceptions: Any, code: str) -> None:  # noqa: ANN401 — botocore makes them from data
        self.exceptions = exceptions
        self._code = code

    def admin_get_user(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore
        self._refuse("AdminGetUser")

    def admin_update_user_attributes(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore
        self._refuse("AdminUpdateUserAttributes")

    def _refuse(self, operation: str) -> NoReturn:
        kind = self.exceptions.from_code(self._code)
        raise kind({"Error": {"Code": self._code, "Message": "No."}, "ResponseMetadata": {}}, operation)
