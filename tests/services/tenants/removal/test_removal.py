"""The end of a tenant, in the tenants service."""

import pytest

from infra.services import SERVICES as DECLARED
from services.tenants import wiring
from services.tenants.consumer import admin, consumer, remover
from services.tenants.domain.certificate import SERVICES
from services.tenants.errors import TenantNotFound
from services.tenants.operations import deletion
from services.tenants.table.certificates import get_certificate
from services.tenants.table.tenants import get_tenant
from shared.errors import PreconditionFailed
from shared.events.envelope import Event, happened, parse
from shared.events.tenants import TenantDataRemoved, TenantDeleted
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from shared.times import to_text
from tests.messages import batch
from tests.services.tenants.acme import LATER, bury, create, said
from tests.services.tenants.answers import call
from tests.services.tenants.heard import AT, usage_synced
from tests.services.tenants.pool import make_pool

TENANT = "/v1/admin/tenants/{tenant_id}"


def removed(service: str) -> Event[TenantDataRemoved]:
    data = TenantDataRemoved(service=service, items=2, objects=1)
    return happened(data, event_id=f"acme:{service}", tenant_id="acme", subject=service, seq=3, at=AT)


class TestRequestDeletion:
    def test_is_204_and_then_404_and_nothing_changes_any_more(self, store: Store) -> None:
        answers = [call("DELETE", TENANT, role=Role.PLATFORM_ADMIN) for _ in range(2)]
        assert [answer.status for answer in answers] == [204, 404]
        assert call("GET", TENANT, role=Role.PLATFORM_ADMIN).body["tenant"]["status"] == "deleting"
        assert call("PUT", TENANT, role=Role.PLATFORM_ADMIN, body={"name": "x"}).error == (409, "Conflict")
        assert call("PUT", "/v1/tenants/{tenant_id}", body={"name": "x"}).error == (403, "Forbidden")
        [requested] = [event for event in said(store) if event["type"] == "tenant.deletion_requested.v1"]
        assert (requested["seq"], requested["data"]["status"]) == (2, "deleting")

    def test_a_stale_one_is_refused(self, store: Store) -> None:
        with pytest.raises(PreconditionFailed):
            deletion.request_deletion(store, "acme", by="user:1", now=LATER, if_match='"7"')

    @pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.DEVELOPER])
    def test_is_for_operators(self, store: Store, role: Role) -> None:
        assert call("DELETE", TENANT, role=role).error == (403, "Forbidden")
        assert get_tenant(store, "acme").deletion is None


class TestFinishDeletion:
    def test_leaves_the_id_and_the_certificate(self, store: Store) -> None:
        bury(store)
        with pytest.raises(TenantNotFound):
            get_tenant(store, "acme")
        certificate = get_certificate(store, "acme")
        assert (certificate.requested_by, certificate.deleted_at, certificate.removed) == ("user:1", AT, {})
        [deleted] = [event for event in said(store) if event["type"] == "tenant.deleted.v1"]
        assert (deleted["id"], deleted["seq"]) == ("acme:deleted", 3)

    def test_is_done_once_and_only_when_it_was_asked_for(self, store: Store) -> None:
        deletion.finish_deletion(store, usage_synced("acme"))
        assert get_tenant(store, "acme").status == "active"
        bury(store)
        deletion.finish_deletion(store, usage_synced("acme"))
        assert len([event for event in said(store) if event["type"] == "tenant.deleted.v1"]) == 1

    def test_lets_its_tokens_change_nothing(self, store: Store) -> None:
        bury(store)
        for method, resource, body in (
            ("POST", "/v1/tenants/{tenant_id}/projects", {"name": "New"}),
            ("POST", "/v1/tenants/{tenant_id}/users/invite", {"email": "a@acme.com", "role": "observer"}),
            ("PUT", "/v1/tenants/{tenant_id}", {"name": "New"}),
        ):
            assert call(method, resource, body=body).error == (403, "Forbidden")


class TestCertificate:
    def test_is_complete_when_every_service_has_said_it(self, store: Store) -> None:
        bury(store)
        first, *others = sorted(SERVICES)
        consumer(batch(*(removed(service) for service in others)))
        assert not get_certificate(store, "acme").is_complete
        for _ in range(2):
            consumer(batch(removed(first)))
        assert get_certificate(store, "acme").is_complete
        shown = admin({"command": "certificate", "tenant_id": "acme"})["certificate"]
        assert shown["complete"]
        assert shown["removed"] == {service: {"items": 2, "objects": 1} for service in sorted(SERVICES)}

    def test_of_a_tenant_that_lives_there_is_none(self, store: Store) -> None:
        with pytest.raises(TenantNotFound):
            get_certificate(store, "acme")
        assert admin({"command": "certificate", "tenant_id": "acme"})["error"] == "NotFound"

    def test_of_a_tenant_whose_runs_still_end_says_so(self, store: Store) -> None:
        deletion.request_deletion(store, "acme", by="user:1", now=AT)
        assert admin({"command": "certificate", "tenant_id": "acme"})["certificate"] == {
            "tenant_id": "acme",
            "requested_by": "user:1",
            "requested_at": to_text(AT),
            "deleted_at": None,
            "complete": False,
            "removed": {},
        }

    def test_every_service_of_the_mesh_has_to_say_it(self) -> None:
        assert {service.name for service in DECLARED} == SERVICES


class TestRemover:
    def test_nothing_stays_but_the_id_and_the_certificate(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USER_POOL_ID", make_pool()[1])
        wiring.identity.cache_clear()
        body = {"email": "a@acme.com", "role": "tenant_admin"}
        key = {"Idempotency-Key": "key-1"}
        assert call("POST", "/v1/tenants/{tenant_id}/users/invite", body=body, headers=key).status == 201
        create(store, "1")
        bury(store)
        [deleted] = [parse(TenantDeleted, event) for event in said(store) if event["type"] == TenantDeleted.TYPE]
        assert remover(batch(deleted)) == {"batchItemFailures": []}
        own = Expression("#PK = :pk", {"pk": "TENANT#acme#TENANTS"})
        assert [item["SK"] for item in store.query_all(own)] == ["CERTIFICATE"]
        assert list(wiring.identity().all()) == []
        assert "acme:tenants:data_removed" in [event["id"] for event in said(store)]
