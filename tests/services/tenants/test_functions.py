"""The consumer, the sweep, the usage metrics, the operators' commands, and the tokens of lists."""

from collections.abc import Callable
from typing import Any

import pytest

from services.tenants import wiring
from services.tenants.functions.commands import handler as admin
from services.tenants.functions.consumer import handler as consumer
from services.tenants.functions.metrics import handler as report_usage_metrics
from services.tenants.functions.sweep import handler as sweep
from services.tenants.tenants.operations import create_tenant
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users.operations import users
from shared.events.catalog import CATALOG
from shared.events.envelope import parse
from shared.events.tenants import UserRemoved
from shared.http.token import seal
from shared.plans import PRICES, Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.forged_cursors import every_forged_position
from tests.messages import batch
from tests.services.tenants.acme import LATER, outbox_events
from tests.services.tenants.client import call
from tests.services.tenants.pool import make_pool
from tests.services.tenants.received import subscription_changed, usage_summarized
from tests.services.tenants.users.test_rollouts import ExpiredContext

EMAILS = ["admin@demo-org.com", "dev@demo-org.com"]


@pytest.fixture(autouse=True)
def _pool(database: object, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 — it begins the mock
    monkeypatch.setenv("USER_POOL_ID", make_pool()[1])


LogLines = Callable[[], list[dict[str, Any]]]


class TestSeed:
    def test_returns_the_created_tenants_and_users(self) -> None:
        payload = admin({"command": "seed", "temporary_password": "Secret-1234"})
        assert payload["tenants"] == [
            {"tenant_id": "demo-org", "created": True},
            {"tenant_id": "enterprise-test", "created": True},
        ]
        assert payload["users"] == [
            {"email": "admin@demo-org.com", "tenant_id": "demo-org", "role": "tenant_admin", "created": True},
            {"email": "dev@demo-org.com", "tenant_id": "demo-org", "role": "developer", "created": True},
        ]

    def test_reports_existing_tenants_and_users(self) -> None:
        admin({"command": "seed"})
        payload = admin({"command": "seed"})
        assert [entry["created"] for entry in payload["tenants"] + payload["users"]] == [False] * 4

    def test_creates_a_platform_admin_on_request(self) -> None:
        payload = admin({"command": "seed", "platform_admin": "platform@ainexus.local"})
        admin_user = {
            "email": "platform@ainexus.local",
            "tenant_id": None,
            "role": "platform_admin",
            "created": True,
        }
        assert payload["users"][-1] == admin_user


class TestUsageMetrics:
    def test_reports_active_tenants_and_revenue_by_plan(self, log_lines: LogLines) -> None:
        for number, plan in enumerate(("free", "pro", "pro", "enterprise")):
            admin({"command": "create_tenant", "tenant_id": f"acme-{number}", "name": "Acme", "plan": plan})
        admin({"command": "suspend_tenant", "tenant_id": "acme-1", "reason": "Late."})
        log_lines()
        report_usage_metrics({})
        lines = {line["plan"]: line for line in log_lines() if line["message"] == "tenants counted"}
        assert {plan: line["ActiveTenants"] for plan, line in lines.items()} == {"free": 1, "pro": 1, "enterprise": 1}
        cents = {plan.value: prices.base_cents_per_month for plan, prices in PRICES.items()}
        assert {plan: line["MonthlyRecurringCents"] for plan, line in lines.items()} == cents

    def test_reports_no_numbers_after_the_deadline(self, log_lines: LogLines, store: Store) -> None:
        for number in range(101):
            create_tenant(store, f"acme-{number}", name="Acme", plan=Plan.FREE, now=LATER)
        log_lines()
        report_usage_metrics({}, ExpiredContext())
        [line] = log_lines()
        assert (line["message"], line["SweepBacklog"]) == ("counted", 1)


class TestLists:
    def test_lists_tenants(self) -> None:
        admin({"command": "seed"})
        tenants = admin({"command": "list_tenants"})["tenants"]
        assert [(tenant["tenant_id"], tenant["plan"], tenant["status"]) for tenant in tenants] == [
            ("demo-org", "pro", "active"),
            ("enterprise-test", "enterprise", "active"),
        ]

    def test_lists_the_users_of_a_tenant(self) -> None:
        admin({"command": "seed"})
        users = admin({"command": "list_users", "tenant_id": "demo-org"})["users"]
        assert sorted(user["email"] for user in users) == EMAILS
        assert admin({"command": "list_users", "tenant_id": "enterprise-test"}) == {"users": []}

    def test_returns_not_found_for_an_unknown_tenant(self) -> None:
        assert admin({"command": "list_users", "tenant_id": "none"})["error"] == "NotFound"

    def test_refuses_invalid_input(self) -> None:
        assert admin({"command": "list_users"})["error"] == "ValidationFailed"
        assert admin({"command": "list_tenants", "limit": 5})["error"] == "ValidationFailed"


class TestTenants:
    def test_creates_changes_suspends_and_reactivates_tenants(self) -> None:
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
    def test_refuses_invalid_input(self, wrong: dict[str, object]) -> None:
        asked = {"command": "create_tenant", "tenant_id": "new", "name": "New", "plan": "pro"}
        assert admin({**asked, **wrong})["error"] == "ValidationFailed"


class TestUsers:
    def test_creates_changes_and_disables_users(self) -> None:
        admin({"command": "seed"})
        asked = {"command": "create_user", "tenant_id": "demo-org", "email": "New@demo-org.com", "role": "analyst"}
        assert [admin(asked)["user"]["created"] for _ in range(2)] == [True, False]
        changed = admin({"command": "set_role", "email": "new@demo-org.com", "role": "tenant_admin"})["user"]
        assert changed["role"] == "tenant_admin"
        assert admin({"command": "disable_user", "email": "new@demo-org.com"})["user"]["status"] == "disabled"

    def test_changes_an_address_in_row_and_pool(self, store: Store) -> None:
        admin({"command": "create_user", "tenant_id": "acme", "email": "a@acme.com", "role": "analyst"})
        changed = admin({"command": "set_email", "email": "A@acme.com", "new_email": "New@acme.com"})["user"]
        assert changed["email"] == "new@acme.com"
        events = [
            parse(CATALOG[event["type"]], event) for event in outbox_events(store) if event["type"] in consumer.types
        ]
        assert consumer(batch(*events)) == {"batchItemFailures": []}
        assert wiring.user_pool().find("a@acme.com") is None
        found = wiring.user_pool().find("new@acme.com")
        assert found
        assert found.user_id == changed["user_id"]

    def test_refuses_to_promote_to_platform_admin(self) -> None:
        admin({"command": "seed"})
        payload = admin({"command": "set_role", "email": "dev@demo-org.com", "role": "platform_admin"})
        assert payload["error"] == "ValidationFailed"

    def test_returns_not_found_for_an_unknown_user(self) -> None:
        assert admin({"command": "set_role", "email": "no@demo-org.com", "role": "analyst"})["error"] == "NotFound"


class TestEvents:
    def test_updates_the_pool_after_changes_of_role_plan_and_removal(self, store: Store) -> None:
        pool = wiring.user_pool()
        admin({"command": "create_user", "tenant_id": "acme", "email": "a@acme.com", "role": "tenant_admin"})
        admin({"command": "create_user", "tenant_id": "acme", "email": "b@acme.com", "role": "analyst"})
        admin({"command": "set_role", "email": "b@acme.com", "role": "developer"})
        admin({"command": "update_tenant", "tenant_id": "acme", "plan": "pro"})
        events = [
            parse(CATALOG[event["type"]], event) for event in outbox_events(store) if event["type"] in consumer.types
        ]
        for _ in range(2):
            assert consumer(batch(*reversed(events))) == {"batchItemFailures": []}
        there = pool.find("b@acme.com")
        assert there
        assert there.role == "developer"
        users.remove_user(store, "acme", there.user_id, now=LATER)
        [removed] = [parse(UserRemoved, event) for event in outbox_events(store) if event["type"] == UserRemoved.TYPE]
        consumer(batch(removed))
        assert pool.find("b@acme.com") is None

    def test_applies_events_of_billing_and_metering(self, store: Store) -> None:
        events = (subscription_changed("acme", suspended=True), usage_summarized("acme", requests=3))
        assert consumer(batch(*events, extra={"unknown": 1})) == {"batchItemFailures": []}
        acme = TenantRecord(store, "acme").get()
        assert (acme.status, acme.usage.monthly_requests) == ("suspended_by_billing", 3)

    def test_failing_event_does_not_affect_the_others(self, store: Store) -> None:
        events = (subscription_changed("none"), usage_summarized("acme", requests=3))
        assert consumer(batch(*events)) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert TenantRecord(store, "acme").get().usage.monthly_requests == 3


def test_sweep_runs_with_nothing_to_do(store: Store) -> None:
    sweep({})
    assert TenantRecord(store, "acme").get().usage.users == 0


def test_lists_all_commands() -> None:
    tenants = ("list_tenants", "create_tenant", "update_tenant", "suspend_tenant", "reactivate_tenant")
    ends = ("delete_tenant", "export_tenant", "show_export", "certificate")
    quarantine = ("quarantine_list", "quarantine_release")
    users = ("list_users", "create_user", "set_role", "set_email", "disable_user")
    assert sorted(admin.names) == sorted((*quarantine, "seed", "import_existing", *tenants, *ends, *users))


class TestForgedTokens:
    @every_forged_position
    @pytest.mark.usefixtures("store")
    @pytest.mark.parametrize("name", ["projects", "users", "audit"])
    def test_every_list_refuses_forged_tokens(self, name: str, position: str) -> None:
        query = {"next_token": seal(position, "acme", name)}
        assert call("GET", f"/v1/tenants/{{tenant_id}}/{name}", role=Role.TENANT_ADMIN, query=query).status == 400
