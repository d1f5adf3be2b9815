"""Operations on tenants, and the events of billing and metering."""

import pytest

from services.tenants.errors import TenantChangedMeanwhile, TenantExists, TenantNotFound
from services.tenants.partitions import config_key
from services.tenants.projects import operations as projects
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.settings import merged_settings
from services.tenants.tenants.domain.tenant import TenantChange
from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from shared.errors import InvalidRequest, PreconditionFailed
from shared.plans import LIMITS, Plan
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.tenants.acme import LATER, NOW, create, delete_acme, outbox_events
from tests.services.tenants.interleaved import interleaved
from tests.services.tenants.received import subscription_changed, usage_summarized


def change(store: Store, what: TenantChange, *, if_match: str | None = None) -> None:
    tenants.change_tenant(store, "acme", what, now=LATER, if_match=if_match)


class TestCreateTenant:
    @pytest.mark.parametrize("tenant_id", ["a", "-a", "Acme", "a_b", "a#b", "a" * 64, "", "acmé", "a b", "a/b"])
    def test_refuses_an_invalid_slug(self, store: Store, tenant_id: str) -> None:
        with pytest.raises(InvalidRequest):
            tenants.create_tenant(store, tenant_id, name="x", plan=Plan.FREE, now=NOW)

    def test_never_reuses_an_id(self, store: Store) -> None:
        delete_acme(store)
        with pytest.raises(TenantNotFound):
            TenantRecord(store, "acme").get()
        with pytest.raises(TenantExists):
            tenants.create_tenant(store, "acme", name="Again", plan=Plan.FREE, now=LATER)
        assert list(AllTenants(store)) == []

    def test_replays_the_response_to_a_repeated_request(self, store: Store) -> None:
        idempotency_key = IdempotencyKey("new", "user:1 POST", "key", "hash", NOW)
        tenants.create_tenant(store, "new", name="New", plan=Plan.FREE, now=NOW, idempotency_key=idempotency_key)
        with pytest.raises(AlreadyDone) as done:
            tenants.create_tenant(store, "new", name="New", plan=Plan.FREE, now=NOW, idempotency_key=idempotency_key)
        assert done.value.resource_id == "new"


class TestChangeTenant:
    def test_is_stored_and_published(self, store: Store) -> None:
        change(store, TenantChange(name="New", plan=Plan.PRO, limits={"max_users": None}))
        acme = TenantRecord(store, "acme").get()
        assert (acme.name, acme.plan, acme.seq) == ("New", Plan.PRO, 2)
        assert (acme.limits.max_users, acme.limits.max_projects) == (LIMITS[Plan.PRO].max_users, 2)
        assert [event["type"] for event in outbox_events(store)] == ["tenant.plan_changed.v1", "tenant.created.v1"]

    def test_raised_limit_applies_at_once(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        change(store, TenantChange(limits={"max_projects": 3}))
        create(store, "3")
        assert TenantRecord(store, "acme").get().usage.projects == 3

    def test_does_not_overwrite_concurrent_counts(self, store: Store) -> None:
        change(interleaved(store, lambda: create(store, "1")), TenantChange(name="New"))
        assert (TenantRecord(store, "acme").get().name, TenantRecord(store, "acme").get().usage.projects) == ("New", 1)

    def test_merges_two_concurrent_changes(self, store: Store) -> None:
        other = interleaved(store, lambda: change(store, TenantChange(plan=Plan.PRO)))
        change(other, TenantChange(name="New"))
        acme = TenantRecord(store, "acme").get()
        assert (acme.name, acme.plan, acme.seq) == ("New", Plan.PRO, 3)

    def test_refuses_an_outdated_if_match(self, store: Store) -> None:
        change(store, TenantChange(name="New"), if_match='"1"')
        with pytest.raises(PreconditionFailed):
            change(store, TenantChange(name="Newer"), if_match='"1"')
        with pytest.raises(PreconditionFailed):
            change(
                interleaved(store, lambda: change(store, TenantChange(name="First"))),
                TenantChange(name="x"),
                if_match='"2"',
            )

    def test_gives_up_after_repeated_conflicts(self, store: Store) -> None:
        numbers = iter(range(100))

        def again() -> Store:
            return interleaved(store, lambda: change(store, TenantChange(name=f"N{next(numbers)}")))

        class Busy:
            """A slice in which another change precedes each transaction."""

            owned = store.owned
            get = store.get

            def commit(self, transaction: object) -> None:
                again().commit(transaction)  # pyright: ignore[reportArgumentType]

        with pytest.raises(TenantChangedMeanwhile):
            tenants.change_tenant(Busy(), "acme", TenantChange(plan=Plan.PRO), now=LATER)  # pyright: ignore[reportArgumentType]

    def test_first_change_of_a_tenant_created_with_aws_tools_sets_seq_1(self, store: Store) -> None:
        for name in ("seq", "own_limits", "settings", "wants_overage", "suspension", "billing", "deletion"):
            store.update(config_key("acme"), Expression(f"REMOVE #{name}"), when=Expression("attribute_exists(PK)"))
        change(store, TenantChange(name="New"))
        acme = TenantRecord(store, "acme").get()
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


class TestReceivedEvents:
    def test_applies_billings_plan_and_suspension(self, store: Store) -> None:
        tenants.apply_subscription(store, subscription_changed("acme", seq=2, plan=Plan.PRO, suspended=True))
        tenants.apply_subscription(store, subscription_changed("acme", seq=1, plan=Plan.FREE))
        acme = TenantRecord(store, "acme").get()
        assert (acme.plan, acme.status, acme.limits.max_projects) == (Plan.PRO, "suspended_by_billing", 2)

    def test_saves_newer_usage_only(self, store: Store) -> None:
        for event in (
            usage_summarized("acme", seq=2, requests=5, tokens=50, storage_bytes=1),
            usage_summarized("acme", seq=1, requests=1, tokens=10),
            usage_summarized("acme", seq=9, month="2026-10", requests=7, tokens=70),
        ):
            tenants.save_usage(store, event)
        usage = TenantRecord(store, "acme").get().usage
        assert (usage.monthly_requests, usage.monthly_tokens, usage.storage_gb) == (5, 50, 1)
        tenants.save_usage(store, usage_summarized("acme", seq=1, month="2026-12", requests=1))
        assert TenantRecord(store, "acme").get().usage.monthly_requests == 1
        assert TenantRecord(store, "acme").get().seq == 1

    def test_usage_of_an_unknown_tenant_creates_no_tenant(self, store: Store) -> None:
        tenants.save_usage(store, usage_summarized("none"))
        with pytest.raises(TenantNotFound):
            TenantRecord(store, "none").get()


class TestPages:
    def test_are_newest_first(self, store: Store) -> None:
        for number in range(3):
            tenants.create_tenant(store, f"t{number}", name="x", plan=Plan.FREE, now=LATER)
        first, after = AllTenants(store).page(limit=3, after=None)
        second, end = AllTenants(store).page(limit=3, after=after)
        assert [tenant.tenant_id for tenant in (*first, *second)] == ["t2", "t1", "t0", "acme"]
        assert end is None


def test_refuses_a_project_of_a_deleted_tenant(store: Store) -> None:
    delete_acme(store)
    with pytest.raises(Exception, match="no more projects"):
        projects.create_project(store, "acme", project_id="prj_9", name="x", description=None, now=LATER)
