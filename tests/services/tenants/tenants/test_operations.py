"""Tenants: created once, changed by those who may, led by what billing and metering say."""

import pytest

from services.tenants.domain.settings import merged_settings
from services.tenants.domain.tenant import TenantChange
from services.tenants.errors import TenantChangedMeanwhile, TenantExists, TenantNotFound
from services.tenants.operations import projects, tenants
from services.tenants.table import config_key
from services.tenants.table.tenants import get_tenant, list_tenants, page_of_tenants
from shared.errors import InvalidRequest, PreconditionFailed
from shared.plans import LIMITS, Plan
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.tenants.acme import LATER, NOW, bury, create, said
from tests.services.tenants.heard import subscription_changed, usage_summarised
from tests.services.tenants.interleaved import interleaved


def change(store: Store, what: TenantChange, *, if_match: str | None = None) -> None:
    tenants.change_tenant(store, "acme", what, now=LATER, if_match=if_match)


class TestCreateTenant:
    @pytest.mark.parametrize("tenant_id", ["a", "-a", "Acme", "a_b", "a#b", "a" * 64, "", "acmé", "a b", "a/b"])
    def test_an_id_is_a_slug(self, store: Store, tenant_id: str) -> None:
        with pytest.raises(InvalidRequest):
            tenants.create_tenant(store, tenant_id, name="x", plan=Plan.FREE, now=NOW)

    def test_an_id_is_never_given_again(self, store: Store) -> None:
        bury(store)
        with pytest.raises(TenantNotFound):
            get_tenant(store, "acme")
        with pytest.raises(TenantExists):
            tenants.create_tenant(store, "acme", name="Again", plan=Plan.FREE, now=LATER)
        assert list(list_tenants(store)) == []

    def test_the_same_request_again_is_answered(self, store: Store) -> None:
        once = Once("new", "user:1 POST", "key", "hash", NOW)
        tenants.create_tenant(store, "new", name="New", plan=Plan.FREE, now=NOW, once=once)
        with pytest.raises(AlreadyDone) as done:
            tenants.create_tenant(store, "new", name="New", plan=Plan.FREE, now=NOW, once=once)
        assert done.value.resource_id == "new"


class TestChangeTenant:
    def test_is_written_and_said(self, store: Store) -> None:
        change(store, TenantChange(name="New", plan=Plan.PRO, limits={"max_users": None}))
        acme = get_tenant(store, "acme")
        assert (acme.name, acme.plan, acme.seq) == ("New", Plan.PRO, 2)
        assert (acme.limits.max_users, acme.limits.max_projects) == (LIMITS[Plan.PRO].max_users, 2)
        assert [event["type"] for event in said(store)] == ["tenant.plan_changed.v1", "tenant.created.v1"]

    def test_a_raised_limit_counts_at_once(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        change(store, TenantChange(limits={"max_projects": 3}))
        create(store, "3")
        assert get_tenant(store, "acme").usage.projects == 3

    def test_does_not_touch_what_is_counted_meanwhile(self, store: Store) -> None:
        change(interleaved(store, lambda: create(store, "1")), TenantChange(name="New"))
        assert (get_tenant(store, "acme").name, get_tenant(store, "acme").usage.projects) == ("New", 1)

    def test_of_two_at_once_both_are_merged(self, store: Store) -> None:
        other = interleaved(store, lambda: change(store, TenantChange(plan=Plan.PRO)))
        change(other, TenantChange(name="New"))
        acme = get_tenant(store, "acme")
        assert (acme.name, acme.plan, acme.seq) == ("New", Plan.PRO, 3)

    def test_one_that_was_read_before_another_change_is_refused(self, store: Store) -> None:
        change(store, TenantChange(name="New"), if_match='"1"')
        with pytest.raises(PreconditionFailed):
            change(store, TenantChange(name="Newer"), if_match='"1"')
        with pytest.raises(PreconditionFailed):
            change(
                interleaved(store, lambda: change(store, TenantChange(name="First"))),
                TenantChange(name="x"),
                if_match='"2"',
            )

    def test_gives_up_when_it_never_ends(self, store: Store) -> None:
        numbers = iter(range(100))

        def again() -> Store:
            return interleaved(store, lambda: change(store, TenantChange(name=f"N{next(numbers)}")))

        class Busy:
            """A slice that somebody else changes before each of our transactions."""

            owned = store.owned
            get = store.get

            def commit(self, transaction: object) -> None:
                again().commit(transaction)  # pyright: ignore[reportArgumentType]

        with pytest.raises(TenantChangedMeanwhile):
            tenants.change_tenant(Busy(), "acme", TenantChange(plan=Plan.PRO), now=LATER)  # pyright: ignore[reportArgumentType]

    def test_one_that_was_made_with_aws_tools_gets_its_first_version(self, store: Store) -> None:
        for name in ("seq", "own_limits", "settings", "wants_overage", "suspension", "billing", "deletion"):
            store.update(config_key("acme"), Expression(f"REMOVE #{name}"), when=Expression("attribute_exists(PK)"))
        change(store, TenantChange(name="New"))
        acme = get_tenant(store, "acme")
        assert (acme.name, acme.seq, acme.limits.max_projects) == ("New", 1, 2)


class TestSettings:
    @pytest.mark.parametrize(
        ("there", "patch", "after"),
        [
            ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
            ({"a": 1}, {"a": None}, {}),
            ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
            ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
            ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ],
    )
    def test_are_merged(self, there: dict[str, object], patch: dict[str, object], after: dict[str, object]) -> None:
        assert merged_settings(there, patch) == after


class TestWhatOthersSay:
    def test_billing_leads_plan_and_suspension(self, store: Store) -> None:
        tenants.follow_subscription(store, subscription_changed("acme", seq=2, plan=Plan.PRO, suspended=True))
        tenants.follow_subscription(store, subscription_changed("acme", seq=1, plan=Plan.FREE))
        acme = get_tenant(store, "acme")
        assert (acme.plan, acme.status, acme.limits.max_projects) == (Plan.PRO, "suspended_by_billing", 2)

    def test_usage_is_shown_when_it_is_newer(self, store: Store) -> None:
        for event in (
            usage_summarised("acme", seq=2, requests=5, tokens=50, storage_bytes=1),
            usage_summarised("acme", seq=1, requests=1, tokens=10),
            usage_summarised("acme", seq=9, month="2026-10", requests=7, tokens=70),
        ):
            tenants.keep_usage(store, event)
        usage = get_tenant(store, "acme").usage
        assert (usage.monthly_requests, usage.monthly_tokens, usage.storage_gb) == (5, 50, 1)
        tenants.keep_usage(store, usage_summarised("acme", seq=1, month="2026-12", requests=1))
        assert get_tenant(store, "acme").usage.monthly_requests == 1
        assert get_tenant(store, "acme").seq == 1

    def test_usage_of_nobody_makes_nobody(self, store: Store) -> None:
        tenants.keep_usage(store, usage_summarised("none"))
        with pytest.raises(TenantNotFound):
            get_tenant(store, "none")


class TestPages:
    def test_go_on_newest_first(self, store: Store) -> None:
        for number in range(3):
            tenants.create_tenant(store, f"t{number}", name="x", plan=Plan.FREE, now=LATER)
        first, after = page_of_tenants(store, limit=3, after=None)
        second, end = page_of_tenants(store, limit=3, after=after)
        assert [tenant.tenant_id for tenant in (*first, *second)] == ["t2", "t1", "t0", "acme"]
        assert end is None


def test_a_deleted_tenant_takes_no_project(store: Store) -> None:
    bury(store)
    with pytest.raises(Exception, match="no more projects"):
        projects.create_project(store, "acme", project_id="prj_9", name="x", description=None, now=LATER)
