"""What is heard, the sweep, and the operators' commands."""

from collections.abc import Callable
from typing import Any

import pytest

from services.tenants import wiring
from services.tenants.consumer import admin, census, consumer, sweep
from services.tenants.operations import users
from services.tenants.table.tenants import get_tenant
from shared.events.catalogue import CATALOGUE
from shared.events.envelope import parse
from shared.events.tenants import UserRemoved
from shared.plans import PRICES
from shared.storage.store import Store
from tests.messages import batch
from tests.services.tenants.acme import LATER, said
from tests.services.tenants.heard import subscription_changed, usage_summarised
from tests.services.tenants.pool import make_pool

EMAILS = ["admin@demo-org.com", "dev@demo-org.com"]


@pytest.fixture(autouse=True)
def _pool(database: object, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 — it begins the mock
    monkeypatch.setenv("USER_POOL_ID", make_pool()[1])


LogLines = Callable[[], list[dict[str, Any]]]


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


class TestCensus:
    def test_says_how_many_are_active_on_each_plan_and_what_that_brings_in(self, log_lines: LogLines) -> None:
        for number, plan in enumerate(("free", "pro", "pro", "enterprise")):
            admin({"command": "create_tenant", "tenant_id": f"acme-{number}", "name": "Acme", "plan": plan})
        admin({"command": "suspend_tenant", "tenant_id": "acme-1", "reason": "Late."})
        log_lines()
        census({})
        lines = {line["plan"]: line for line in log_lines() if line["message"] == "tenants counted"}
        assert {plan: line["ActiveTenants"] for plan, line in lines.items()} == {"free": 1, "pro": 1, "enterprise": 1}
        cents = {plan.value: prices.base_cents_per_month for plan, prices in PRICES.items()}
        assert {plan: line["MonthlyRecurringCents"] for plan, line in lines.items()} == cents


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


class TestTenants:
    def test_are_made_changed_suspended_and_reactivated(self) -> None:
        made = admin({"command": "create_tenant", "tenant_id": "new", "name": "New", "plan": "pro"})["tenant"]
        assert (made["plan"], made["limits"]["max_users"]) == ("pro", 10)
        change = {"plan": "enterprise", "limits": {"max_users": 7}, "overage": "allow"}
        changed = admin({"command": "update_tenant", "tenant_id": "new", **change})["tenant"]
        assert (changed["plan"], changed["limits"]["max_users"], changed["overage"]) == ("enterprise", 7, "allow")
        again = admin({"command": "update_tenant", "tenant_id": "new", "limits": {"max_users": None}})["tenant"]
        assert again["limits"]["max_users"] == 100
        suspended = admin({"command": "suspend_tenant", "tenant_id": "new", "reason": "Spam", "abuse": True})
        assert suspended["tenant"]["status"] == "suspended"
        assert admin({"command": "reactivate_tenant", "tenant_id": "new"})["tenant"]["status"] == "active"
        assert admin({"command": "reactivate_tenant", "tenant_id": "new"})["error"] == "Conflict"

    @pytest.mark.parametrize("wrong", [{"tenant_id": "New"}, {"plan": "golden"}, {"limits": {"max_users": -2}}])
    def test_what_is_not_valid_is_refused(self, wrong: dict[str, object]) -> None:
        asked = {"command": "create_tenant", "tenant_id": "new", "name": "New", "plan": "pro"}
        assert admin({**asked, **wrong})["error"] == "ValidationFailed"


class TestUsers:
    def test_are_made_given_another_role_and_disabled(self) -> None:
        admin({"command": "seed"})
        asked = {"command": "create_user", "tenant_id": "demo-org", "email": "New@demo-org.com", "role": "analyst"}
        assert [admin(asked)["user"]["created"] for _ in range(2)] == [True, False]
        changed = admin({"command": "set_role", "email": "new@demo-org.com", "role": "tenant_admin"})["user"]
        assert changed["role"] == "tenant_admin"
        assert admin({"command": "disable_user", "email": "new@demo-org.com"})["user"]["status"] == "disabled"

    def test_nobody_is_promoted_to_platform_admin(self) -> None:
        admin({"command": "seed"})
        said = admin({"command": "set_role", "email": "dev@demo-org.com", "role": "platform_admin"})
        assert said["error"] == "ValidationFailed"

    def test_one_who_does_not_exist_is_said(self) -> None:
        assert admin({"command": "set_role", "email": "no@demo-org.com", "role": "analyst"})["error"] == "NotFound"


class TestEvents:
    def test_the_pool_follows_role_plan_and_removal(self, store: Store) -> None:
        pool = wiring.identity()
        admin({"command": "create_user", "tenant_id": "acme", "email": "a@acme.com", "role": "tenant_admin"})
        admin({"command": "create_user", "tenant_id": "acme", "email": "b@acme.com", "role": "analyst"})
        admin({"command": "set_role", "email": "b@acme.com", "role": "developer"})
        admin({"command": "update_tenant", "tenant_id": "acme", "plan": "pro"})
        events = [parse(CATALOGUE[event["type"]], event) for event in said(store) if event["type"] in consumer.types]
        for _ in range(2):
            assert consumer(batch(*reversed(events))) == {"batchItemFailures": []}
        there = pool.find("b@acme.com")
        assert there
        assert there.role == "developer"
        users.remove_user(store, "acme", there.user_id, now=LATER)
        [removed] = [parse(UserRemoved, event) for event in said(store) if event["type"] == UserRemoved.TYPE]
        consumer(batch(removed))
        assert pool.find("b@acme.com") is None

    def test_billing_and_metering_are_heard(self, store: Store) -> None:
        events = (subscription_changed("acme", suspended=True), usage_summarised("acme", requests=3))
        assert consumer(batch(*events, extra={"unknown": 1})) == {"batchItemFailures": []}
        acme = get_tenant(store, "acme")
        assert (acme.status, acme.usage.monthly_requests) == ("suspended_by_billing", 3)

    def test_one_that_fails_does_not_take_the_others_with_it(self, store: Store) -> None:
        events = (subscription_changed("none"), usage_summarised("acme", requests=3))
        assert consumer(batch(*events)) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert get_tenant(store, "acme").usage.monthly_requests == 3


def test_the_sweep_runs_with_nothing_to_do(store: Store) -> None:
    sweep({})
    assert get_tenant(store, "acme").usage.users == 0


def test_these_are_all_commands() -> None:
    tenants = ("list_tenants", "create_tenant", "update_tenant", "suspend_tenant", "reactivate_tenant")
    ends = ("delete_tenant", "export_tenant", "show_export", "certificate")
    quarantine = ("quarantine_list", "quarantine_release")
    users = ("list_users", "create_user", "set_role", "disable_user")
    assert admin.names == (*quarantine, "seed", "adopt", *tenants, *ends, *users)
