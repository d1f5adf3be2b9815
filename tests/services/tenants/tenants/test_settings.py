"""Settings: their total size is bounded, and it never prevents a change of the tenant."""

import json
from typing import Any

import pytest

from services.tenants.errors import SettingsTooLarge
from services.tenants.functions.consumer import handler as consumer
from services.tenants.partitions import config_key
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.settings import MAX_SETTINGS_BYTES, change_settings
from services.tenants.tenants.domain.tenant import TenantChange
from services.tenants.tenants.table.settings import SettingsTable
from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from shared.freejson import encode
from shared.plans import Plan
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from shared.tenancy.permissions import Role
from tests.messages import batch
from tests.services.tenants.acme import LATER, NOW
from tests.services.tenants.client import call
from tests.services.tenants.interleaved import interleaved
from tests.services.tenants.received import subscription_changed, usage_summarized

MINE = "/v1/tenants/{tenant_id}"
ADMIN = "/v1/admin/tenants/{tenant_id}"
ITEM_BYTES = 400 * 1024


def put(settings: object) -> int:
    """Change the settings and return the status."""
    return call("PUT", MINE, body={"settings": settings}).status


def operate(method: str, resource: str = ADMIN, body: object = None) -> int:
    """Send an operator's request and return the status."""
    return call(method, resource, role=Role.PLATFORM_ADMIN, body=body).status


def read(store: Store) -> Any:  # noqa: ANN401 — any JSON
    """Return the settings of acme."""
    return TenantRecord(store, "acme").get_with_settings()[1].values


def store_in_tenant(store: Store, text: str) -> None:
    """Write settings as earlier versions did: in the tenant's item."""
    store.update(config_key("acme"), Expression("SET #settings = :text", {"text": text}), when=PRESENT)


@pytest.fixture(name="full")
def fill_item(store: Store) -> Store:
    """Return a slice with a tenant whose item has the maximum size that DynamoDB allows."""
    low, high = 0, ITEM_BYTES
    while high - low > 1:
        size = (low + high) // 2
        try:
            store_in_tenant(store, json.dumps({"a": "x" * size}))
        except Exception:  # noqa: BLE001 — the table refuses the item
            high = size
        else:
            low = size
    return store


class TestChangeSettings:
    def test_bounds_the_total_size(self) -> None:
        settings: dict[str, Any] = {}
        for number in range(4):
            settings = change_settings(settings, {f"k{number}": "x" * 4_000})
        with pytest.raises(SettingsTooLarge):
            change_settings(settings, {"k4": "x" * 4_000})
        assert len(encode(settings)) <= MAX_SETTINGS_BYTES

    def test_counts_stored_bytes(self) -> None:
        assert change_settings({}, {"a": "é" * 8_000})
        with pytest.raises(SettingsTooLarge):
            change_settings({}, {"a": "é" * 8_200})

    def test_settings_above_the_limit_may_shrink(self) -> None:
        large = {"a": "x" * 50_000, "b": "y" * 50_000}
        assert change_settings(large, {"a": None}) == {"b": large["b"]}
        assert change_settings(large, {}) == large
        with pytest.raises(SettingsTooLarge):
            change_settings(large, {"c": 1})


class TestPutSettings:
    def test_refuses_settings_that_exceed_the_total(self, store: Store) -> None:
        assert put({"a": "x" * 10_000}) == 200
        refused = call("PUT", MINE, body={"settings": {"b": "x" * 10_000}})
        assert refused.error == (422, "ValidationFailed")
        assert refused.body["details"][0]["field"] == "settings"
        assert put({"a": None, "b": "x" * 10_000}) == 200
        assert set(read(store)) == {"b"}

    @pytest.mark.parametrize("depth", [65, 260, 900])
    @pytest.mark.usefixtures("store")
    def test_refuses_deep_nesting(self, depth: int) -> None:
        text = '{"a":' * depth + "1" + "}" * depth
        assert call("PUT", MINE, body=f'{{"settings":{text}}}').error == (422, "ValidationFailed")

    def test_merges_with_a_concurrent_change(self, store: Store) -> None:
        def change(through: Store, settings: dict[str, Any]) -> None:
            tenants.change_own_tenant(through, "acme", TenantChange(), settings, now=LATER, if_match=None)

        change(interleaved(store, lambda: change(store, {"a": 1})), {"b": 2})
        assert read(store) == {"a": 1, "b": 2}
        change(interleaved(store, lambda: change(store, {"c": 3})), {"d": 4})
        assert read(store) == {"a": 1, "b": 2, "c": 3, "d": 4}

    def test_is_a_new_version_of_the_tenant(self, store: Store) -> None:
        assert put({"a": 1}) == 200
        assert TenantRecord(store, "acme").get().seq == 2
        assert put({"a": 1}) == 200
        assert TenantRecord(store, "acme").get().seq == 2


class TestFullTenantItem:
    """An item that a tenant filled while an earlier version allowed it."""

    @pytest.mark.usefixtures("full")
    def test_is_suspended_and_reactivated(self) -> None:
        assert operate("POST", f"{ADMIN}/suspend", {"reason": "abuse", "abuse": True}) == 200
        assert operate("POST", f"{ADMIN}/reactivate") == 200

    @pytest.mark.usefixtures("full")
    def test_is_deleted(self) -> None:
        assert operate("DELETE") == 204

    @pytest.mark.usefixtures("full")
    def test_changes_its_plan(self) -> None:
        assert operate("PUT", body={"plan": "enterprise"}) == 200

    def test_is_suspended_by_billing(self, full: Store) -> None:
        assert consumer(batch(subscription_changed("acme", suspended=True))) == {"batchItemFailures": []}
        assert TenantRecord(full, "acme").get().status == "suspended_by_billing"

    def test_usage_is_saved(self, full: Store) -> None:
        assert consumer(batch(usage_summarized("acme", requests=123_456_789))) == {"batchItemFailures": []}
        assert TenantRecord(full, "acme").get().usage.monthly_requests == 123_456_789

    def test_keeps_its_settings(self, full: Store) -> None:
        there = read(full)
        assert operate("POST", f"{ADMIN}/suspend", {"reason": "abuse"}) == 200
        assert read(full) == there
        assert call("GET", MINE).body["tenant"]["settings"] == there

    @pytest.mark.usefixtures("full")
    def test_lists_only_the_size_of_large_settings(self) -> None:
        [shown] = call("GET", "/v1/admin/tenants", role=Role.PLATFORM_ADMIN).body["tenants"]
        assert shown["settings"]["unreadable"]["bytes"] > 300_000


class TestSettingsInTheTenantItem:
    def test_is_read(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        assert call("GET", MINE).body["tenant"]["settings"] == {"a": 1}

    def test_merges_into_a_separate_item(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        assert put({"b": 2}) == 200
        assert read(store) == {"a": 1, "b": 2}
        assert "settings" not in (store.get(config_key("acme")) or {})

    def test_moves_with_any_change(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=NOW)
        assert "settings" not in (store.get(config_key("acme")) or {})
        assert read(store) == {"a": 1}

    def test_never_replaces_newer_settings(self, store: Store) -> None:
        assert put({"a": 1}) == 200
        store_in_tenant(store, "{}")
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=NOW)
        assert read(store) == {"a": 1}
        assert "settings" not in (store.get(config_key("acme")) or {})

    @pytest.mark.parametrize(
        "text", ['{"a":' * 260 + "1" + "}" * 260, '{"a": 1' + "0" * 4_000 + "}", '{"a": "\\ud800"}']
    )
    def test_returns_settings_that_are_no_longer_accepted(self, store: Store, text: str) -> None:
        store_in_tenant(store, text)
        assert call("GET", MINE).status == 200
        assert call("GET", "/v1/tenants").status == 200
        assert operate("GET", "/v1/admin/tenants") == 200
        assert put({"b": 2}) == 200
        assert read(store)["b"] == 2


class TestInvalidTenantItem:
    @pytest.mark.parametrize(
        "spoilt",
        [
            "REMOVE #plan",
            "SET #plan = :text",
            "SET #own_limits = :text",
            "SET #own_limits.#max_users = :text",
            "SET #current_usage = :text",
            "SET #seq = :text",
            "SET #created_at = :text",
        ],
    )
    def test_does_not_hide_the_others(self, store: Store, spoilt: str) -> None:
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=LATER)
        values = {"text": "x"} if ":text" in spoilt else {}
        store.update(config_key("acme"), Expression(spoilt, values), when=PRESENT)
        shown = call("GET", "/v1/admin/tenants", role=Role.PLATFORM_ADMIN).body["tenants"]
        assert [tenant["tenant_id"] for tenant in shown] == ["other"]
        assert [tenant.tenant_id for tenant in AllTenants(store)] == ["other"]
        assert tenants.count_active_tenants(store)[Plan.PRO] == 1


def test_settings_are_stored_in_the_tenants_partition(store: Store) -> None:
    assert SettingsTable(store, "acme").key() == ("TENANT#acme#TENANTS", "SETTINGS")


class TestLintGate:
    def test_reaches_the_services_that_obey_it(self, store: Store) -> None:
        assert put({"lint_gate": "block"}) == 200
        assert TenantRecord(store, "acme").get().access.lint_gate == "block"
        assert put({"other": 1}) == 200
        assert TenantRecord(store, "acme").get().access.lint_gate == "block"

    def test_is_the_default_without_the_setting(self, store: Store) -> None:
        assert put({"lint_gate": "off"}) == 200
        assert put({"lint_gate": None}) == 200
        assert TenantRecord(store, "acme").get().access.lint_gate == "warn"

    @pytest.mark.parametrize("gate", ["deny", "", 1, {}, ["block"]])
    def test_refuses_other_values(self, store: Store, gate: object) -> None:
        answer = call("PUT", MINE, body={"settings": {"lint_gate": gate}})
        assert (answer.status, answer.body["details"][0]["field"]) == (422, "settings.lint_gate")
        assert read(store) == {}
