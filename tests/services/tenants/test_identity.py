"""The user pool: the real one and the fake behave alike."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.tenants.errors import IdentityUnavailable, UserOfAnotherTenant
from services.tenants.gateways.cognito import CognitoIdentity
from services.tenants.gateways.identity import Identity, NewUser, PoolUser
from services.tenants.gateways.memory import FakeIdentity
from shared.tenancy.permissions import Role
from tests.services.tenants.pool import make_pool
from tests.tables import tables

DEVELOPER = NewUser("dev@acme.com", Role.DEVELOPER, "acme", "pro", ("agents", "experiments"))
PASSWORD = "Temporary-1234"


@pytest.fixture(name="pool")
def _pool() -> Iterator[tuple[Any, str]]:
    with tables():
        yield make_pool()


@pytest.fixture(name="identity", params=["cognito", "fake"])
def make_identity(request: pytest.FixtureRequest, pool: tuple[Any, str]) -> Identity:
    client, pool_id = pool
    return CognitoIdentity(client, user_pool_id=pool_id) if request.param == "cognito" else FakeIdentity()


class TestEnsure:
    def test_makes_a_user_once(self, identity: Identity) -> None:
        first = identity.ensure(DEVELOPER, temporary_password=PASSWORD)
        second = identity.ensure(DEVELOPER, temporary_password=PASSWORD)
        assert (first.created, second.created) == (True, False)
        assert first.user_id == second.user_id

    def test_two_users_are_two(self, identity: Identity) -> None:
        one = identity.ensure(DEVELOPER, temporary_password=None)
        other = identity.ensure(NewUser("b@acme.com", Role.ANALYST, "acme"), temporary_password=None)
        assert one.user_id != other.user_id

    @pytest.mark.parametrize("tenant_id", ["other", None])
    def test_an_address_of_another_tenant_is_refused(self, identity: Identity, tenant_id: str | None) -> None:
        identity.ensure(DEVELOPER, temporary_password=None)
        with pytest.raises(UserOfAnotherTenant):
            identity.ensure(NewUser("dev@acme.com", Role.DEVELOPER, tenant_id), temporary_password=None)

    def test_a_platform_admin_can_be_ensured_again(self, identity: Identity) -> None:
        admin = NewUser("root@platform.com", Role.PLATFORM_ADMIN, None)
        made = [identity.ensure(admin, temporary_password=None).created for _ in range(2)]
        assert made == [True, False]


class TestAfterwards:
    def ensured(self, identity: Identity) -> str:
        return identity.ensure(DEVELOPER, temporary_password=PASSWORD).username

    def test_a_user_is_found_by_address(self, identity: Identity) -> None:
        made = identity.ensure(DEVELOPER, temporary_password=PASSWORD)
        found = identity.find(DEVELOPER.email)
        assert found == PoolUser(
            made.user_id, made.username, DEVELOPER.email, "acme", "developer", ("agents", "experiments"), enabled=True
        )
        assert list(identity.all()) == [found]
        assert identity.find("nobody@acme.com") is None

    def test_the_next_token_says_another_role_plan_and_features(self, identity: Identity) -> None:
        name = self.ensured(identity)
        identity.update(name, NewUser(DEVELOPER.email, Role.ANALYST, "acme", "enterprise", ("linting",)))
        found = identity.find(DEVELOPER.email)
        assert found
        assert (found.tenant_id, found.role, found.features) == ("acme", "analyst", ("linting",))
        identity.update(name, NewUser(DEVELOPER.email, Role.ANALYST, "acme", "enterprise", None))
        found = identity.find(DEVELOPER.email)
        assert found
        assert found.features is None

    def test_one_who_is_disabled_is_there_and_shut_out(self, identity: Identity) -> None:
        name = self.ensured(identity)
        for _ in range(2):
            identity.disable(name)
        found = identity.find(DEVELOPER.email)
        assert found
        assert not found.enabled

    def test_of_one_who_is_removed_nothing_is_left(self, identity: Identity) -> None:
        name = self.ensured(identity)
        for _ in range(2):
            identity.remove(name)
        assert list(identity.all()) == []
        identity.disable(name)
        identity.update(name, DEVELOPER)


class TestCognitoIdentity:
    def attributes(self, pool: tuple[Any, str], user: NewUser) -> dict[str, str]:
        client, pool_id = pool
        signs_in = CognitoIdentity(client, user_pool_id=pool_id).ensure(user, temporary_password=PASSWORD)
        found = client.admin_get_user(UserPoolId=pool_id, Username=user.email)
        attributes = {entry["Name"]: entry["Value"] for entry in found["UserAttributes"]}
        assert attributes.pop("sub") == signs_in.user_id
        return attributes

    def test_the_tokens_will_say_tenant_role_plan_and_features(self, pool: tuple[Any, str]) -> None:
        attributes = self.attributes(pool, DEVELOPER)
        assert json.loads(attributes.pop("custom:features")) == ["agents", "experiments"]
        assert attributes == {
            "email": "dev@acme.com",
            "email_verified": "true",
            "custom:tenant_id": "acme",
            "custom:role": "developer",
            "custom:plan": "pro",
        }

    def test_what_does_not_apply_is_left_out(self, pool: tuple[Any, str]) -> None:
        attributes = self.attributes(pool, NewUser("root@platform.com", Role.PLATFORM_ADMIN, None))
        custom = {name for name in attributes if name.startswith("custom:")}
        assert custom == {"custom:role"}

    def test_a_pool_that_is_not_there_is_said(self, pool: tuple[Any, str]) -> None:
        with pytest.raises(IdentityUnavailable):
            CognitoIdentity(pool[0], user_pool_id="us-east-2_missing").ensure(DEVELOPER, temporary_password=None)

    def test_a_pool_that_does_not_answer_is_said(self, pool: tuple[Any, str]) -> None:
        class Down:
            exceptions = pool[0].exceptions

            def admin_create_user(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore
                raise EndpointConnectionError(endpoint_url="https://pool.invalid")

        with pytest.raises(IdentityUnavailable):
            CognitoIdentity(Down(), user_pool_id="x").ensure(DEVELOPER, temporary_password=None)
