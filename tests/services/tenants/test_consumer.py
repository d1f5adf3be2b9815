"""The operators' commands."""

import pytest

from services.tenants.consumer import admin
from tests.services.tenants.pool import make_pool

EMAILS = ["admin@demo-org.com", "dev@demo-org.com"]


@pytest.fixture(autouse=True)
def _pool(database: object, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 — it begins the mock
    monkeypatch.setenv("USER_POOL_ID", make_pool()[1])


class TestSeed:
    def test_says_what_it_made(self) -> None:
        said = admin({"command": "seed", "temporary_password": "Secret-1234"})
        assert said["tenants"] == [
            {"tenant_id": "demo-org", "created": True},
            {"tenant_id": "enterprise-test", "created": True},
        ]
        assert said["users"] == [
            {"email": "admin@demo-org.com", "tenant_id": "demo-org", "role": "tenant_admin", "created": True},
            {"email": "dev@demo-org.com", "tenant_id": "demo-org", "role": "developer", "created": True},
        ]

    def test_a_second_time_says_that_all_is_there(self) -> None:
        admin({"command": "seed"})
        said = admin({"command": "seed"})
        assert [entry["created"] for entry in said["tenants"] + said["users"]] == [False] * 4

    def test_makes_a_platform_admin_when_asked_to(self) -> None:
        said = admin({"command": "seed", "platform_admin": "platform@ainexus.local"})
        admin_user = {
            "email": "platform@ainexus.local",
            "tenant_id": None,
            "role": "platform_admin",
            "created": True,
        }
        assert said["users"][-1] == admin_user


class TestLists:
    def test_tenants_are_listed(self) -> None:
        admin({"command": "seed"})
        tenants = admin({"command": "list_tenants"})["tenants"]
        assert [(tenant["tenant_id"], tenant["plan"], tenant["status"]) for tenant in tenants] == [
            ("demo-org", "pro", "active"),
            ("enterprise-test", "enterprise", "active"),
        ]

    def test_users_of_a_tenant_are_listed(self) -> None:
        admin({"command": "seed"})
        users = admin({"command": "list_users", "tenant_id": "demo-org"})["users"]
        assert sorted(user["email"] for user in users) == EMAILS
        assert admin({"command": "list_users", "tenant_id": "enterprise-test"}) == {"users": []}

    def test_a_tenant_that_does_not_exist_is_said(self) -> None:
        assert admin({"command": "list_users", "tenant_id": "none"})["error"] == "NotFound"

    def test_what_is_not_valid_is_refused(self) -> None:
        assert admin({"command": "list_users"})["error"] == "ValidationFailed"
        assert admin({"command": "list_tenants", "limit": 5})["error"] == "ValidationFailed"


def test_these_are_all_commands() -> None:
    assert admin.names == ("seed", "list_tenants", "list_users")
