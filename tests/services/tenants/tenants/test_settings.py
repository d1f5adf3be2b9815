"""Settings: bounded as a whole, and never in the way of what is done to the tenant."""

import json
from typing import Any

import pytest

from services.tenants.consumer import consumer
from services.tenants.domain.settings import MAX_SETTINGS_BYTES, change_settings
from services.tenants.domain.tenant import TenantChange
from services.tenants.errors import SettingsTooLarge
from services.tenants.operations import tenants
from services.tenants.table import config_key
from services.tenants.table.settings import settings_key
from services.tenants.table.tenants import get_tenant, get_tenant_with_settings, list_tenants
from shared.freejson import encode
from shared.plans import Plan
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from shared.tenancy.permissions import Role
from tests.messages import batch
from tests.services.tenants.acme import LATER, NOW
from tests.services.tenants.answers import call
from tests.services.tenants.heard import subscription_changed, usage_summarised
from tests.services.tenants.interleaved import interleaved

MINE = "/v1/tenants/{tenant_id}"
ADMIN = "/v1/admin/tenants/{tenant_id}"
ITEM_BYTES = 400 * 1024


def put(settings: object) -> int:
    """The status of a change of the settings."""
    return call("PUT", MINE, body={"settings": settings}).status


def operate(method: str, resource: str = ADMIN, body: object = None) -> int:
    """The status of an operator's request."""
    return call(method, resource, role=Role.PLATFORM_ADMIN, body=body).status


def read(store: Store) -> Any:  # noqa: ANN401 — any JSON
    """The settings of acme."""
    return get_tenant_with_settings(store, "acme")[1].values


def store_in_tenant(store: Store, text: str) -> None:
    """Write settings as earlier versions did: in the tenant's item."""
    store.update(config_key("acme"), Expression("SET #settings = :text", {"text": text}), when=PRESENT)


@pytest.fixture(name="full")
def fill_item(store: Store) -> Store:
    """The slice with a tenant whose item holds as many bytes as DynamoDB allows."""
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
    def test_bounds_the_sum_and_not_the_step(self) -> None:
        settings: dict[str, Any] = {}
        for number in range(4):
            settings = change_settings(settings, {f"k{number}": "x" * 4_000})
        with pytest.raises(SettingsTooLarge):
            change_settings(settings, {"k4": "x" * 4_000})
        assert len(encode(settings)) <= MAX_SETTINGS_BYTES

    def test_counts_bytes_as_they_are_stored(self) -> None:
        assert change_settings({}, {"a": "é" * 8_000})
        with pytest.raises(SettingsTooLarge):
            change_settings({}, {"a": "é" * 8_200})

    def test_lets_those_from_before_the_limit_shrink(self) -> None:
        large = {"a": "x" * 50_000, "b": "y" * 50_000}
        assert change_settings(large, {"a": None}) == {"b": large["b"]}
        assert change_settings(large, {}) == large
        with pytest.raises(SettingsTooLarge):
            change_settings(large, {"c": 1})


class TestPutSettings:
    def test_refuses_what_would_not_fit_with_the_rest(self, store: Store) -> None:
        assert put({"a": "x" * 10_000}) == 200
        refused = call("PUT", MINE, body={"settings": {"b": "x" * 10_000}})
        assert refused.error == (422, "ValidationFailed")
        assert refused.body["details"][0]["field"] == "settings"
        assert put({"a": None, "b": "x" * 10_000}) == 200
        assert set(read(store)) == {"b"}

    @pytest.mark.parametrize("depth", [65, 260, 900])
    @pytest.mark.usefixtures("store")
    def test_refuses_what_cannot_be_written_everywhere(self, depth: int) -> None:
        text = '{"a":' * depth + "1" + "}" * depth
        assert call("PUT", MINE, body=f'{{"settings":{text}}}').error == (422, "ValidationFailed")

    def test_merges_with_a_change_made_meanwhile(self, store: Store) -> None:
        def change(through: Store, settings: dict[str, Any]) -> None:
            tenants.change_own_tenant(through, "acme", TenantChange(), settings, now=LATER, if_match=None)

        change(interleaved(store, lambda: change(store, {"a": 1})), {"b": 2})
        assert read(store) == {"a": 1, "b": 2}
        change(interleaved(store, lambda: change(store, {"c": 3})), {"d": 4})
        assert read(store) == {"a": 1, "b": 2, "c": 3, "d": 4}

    def test_is_a_new_version_of_the_tenant(self, store: Store) -> None:
        assert put({"a": 1}) == 200
        assert get_tenant(store, "acme").seq == 2
        assert put({"a": 1}) == 200
        assert get_tenant(store, "acme").seq == 2


class TestFullItem:
    """An item that an earlier version let a tenant fill."""

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
        assert get_tenant(full, "acme").status == "suspended_by_billing"

    def test_shows_its_usage(self, full: Store) -> None:
        assert consumer(batch(usage_summarised("acme", requests=123_456_789))) == {"batchItemFailures": []}
        assert get_tenant(full, "acme").usage.monthly_requests == 123_456_789

    def test_keeps_its_settings(self, full: Store) -> None:
        there = read(full)
        assert operate("POST", f"{ADMIN}/suspend", {"reason": "abuse"}) == 200
        assert read(full) == there
        assert call("GET", MINE).body["tenant"]["settings"] == there

    @pytest.mark.usefixtures("full")
    def test_is_listed_with_the_size_of_its_settings_alone(self) -> None:
        [shown] = call("GET", "/v1/admin/tenants", role=Role.PLATFORM_ADMIN).body["tenants"]
        assert shown["settings"]["unreadable"]["bytes"] > 300_000


class TestEarlierForm:
    def test_is_read(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        assert call("GET", MINE).body["tenant"]["settings"] == {"a": 1}

    def test_is_merged_into_an_item_of_its_own(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        assert put({"b": 2}) == 200
        assert read(store) == {"a": 1, "b": 2}
        assert "settings" not in (store.get(config_key("acme")) or {})

    def test_is_moved_by_any_change(self, store: Store) -> None:
        store_in_tenant(store, '{"a": 1}')
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=NOW)
        assert "settings" not in (store.get(config_key("acme")) or {})
        assert read(store) == {"a": 1}

    def test_never_replaces_newer_ones(self, store: Store) -> None:
        assert put({"a": 1}) == 200
        store_in_tenant(store, "{}")
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=NOW)
        assert read(store) == {"a": 1}
        assert "settings" not in (store.get(config_key("acme")) or {})

    @pytest.mark.parametrize(
        "text", ['{"a":' * 260 + "1" + "}" * 260, '{"a": 1' + "0" * 4_000 + "}", '{"a": "\\ud800"}']
    )
    def test_is_shown_and_listed_though_it_could_not_be_stored_now(self, store: Store, text: str) -> None:
        store_in_tenant(store, text)
        assert call("GET", MINE).status == 200
        assert call("GET", "/v1/tenants").status == 200
        assert operate("GET", "/v1/admin/tenants") == 200
        assert put({"b": 2}) == 200
        assert read(store)["b"] == 2


class TestUnreadableTenant:
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
        assert [tenant.tenant_id for tenant in list_tenants(store)] == ["other"]
        assert tenants.count_active(store)[Plan.PRO] == 1


def test_settings_of_a_tenant_are_in_its_own_partition() -> None:
    assert settings_key("acme") == ("TENANT#acme#TENANTS", "SETTINGS")
