"""The deletion of a tenant."""

import pytest

from infra.services import SERVICES as DECLARED
from services.tenants import wiring
from services.tenants.errors import TenantNotFound
from services.tenants.functions.commands import handler as admin
from services.tenants.functions.consumer import handler as consumer
from services.tenants.functions.remover import handler as remover
from services.tenants.removal.operations import finish_deletion
from services.tenants.removal.table import CertificateTable
from services.tenants.tenants.domain.services import SERVICES
from services.tenants.tenants.operations import request_deletion
from services.tenants.tenants.table.tenants import TenantRecord
from shared.errors import PreconditionFailed
from shared.events.envelope import Event, new_event, parse
from shared.events.tenants import TenantDataRemoved, TenantDeleted
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from shared.times import to_text
from tests.messages import batch
from tests.services.tenants.acme import LATER, create, delete_acme, outbox_events
from tests.services.tenants.client import call
from tests.services.tenants.pool import make_pool
from tests.services.tenants.received import AT, usage_synced

TENANT = "/v1/admin/tenants/{tenant_id}"


def removed(service: str) -> Event[TenantDataRemoved]:
    data = TenantDataRemoved(service=service, items=2, objects=1)
    return new_event(data, event_id=f"acme:{service}", tenant_id="acme", subject=service, seq=3, at=AT)


class TestRequestDeletion:
    def test_returns_204_then_404_and_blocks_changes(self, store: Store) -> None:
        answers = [call("DELETE", TENANT, role=Role.PLATFORM_ADMIN) for _ in range(2)]
        assert [answer.status for answer in answers] == [204, 404]
        assert call("GET", TENANT, role=Role.PLATFORM_ADMIN).body["tenant"]["status"] == "deleting"
        assert call("PUT", TENANT, role=Role.PLATFORM_ADMIN, body={"name": "x"}).error == (409, "Conflict")
        assert call("PUT", "/v1/tenants/{tenant_id}", body={"name": "x"}).error == (403, "Forbidden")
        [requested] = [event for event in outbox_events(store) if event["type"] == "tenant.deletion_requested.v1"]
        assert (requested["seq"], requested["data"]["status"]) == (2, "deleting")

    def test_refuses_an_outdated_if_match(self, store: Store) -> None:
        with pytest.raises(PreconditionFailed):
            request_deletion(store, "acme", by="user:1", now=LATER, if_match='"7"')

    @pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.DEVELOPER])
    def test_requires_an_operator(self, store: Store, role: Role) -> None:
        assert call("DELETE", TENANT, role=role).error == (403, "Forbidden")
        assert TenantRecord(store, "acme").get().deletion is None


class TestFinishDeletion:
    def test_keeps_the_id_and_the_certificate(self, store: Store) -> None:
        delete_acme(store)
        with pytest.raises(TenantNotFound):
            TenantRecord(store, "acme").get()
        certificate = CertificateTable(store, "acme").get()
        assert (certificate.requested_by, certificate.deleted_at, certificate.removed) == ("user:1", AT, {})
        [deleted] = [event for event in outbox_events(store) if event["type"] == "tenant.deleted.v1"]
        assert (deleted["id"], deleted["seq"]) == ("acme:deleted", 3)

    def test_deletes_once_and_only_on_request(self, store: Store) -> None:
        finish_deletion(store, usage_synced("acme"))
        assert TenantRecord(store, "acme").get().status == "active"
        delete_acme(store)
        finish_deletion(store, usage_synced("acme"))
        assert len([event for event in outbox_events(store) if event["type"] == "tenant.deleted.v1"]) == 1

    def test_refuses_changes_with_remaining_tokens(self, store: Store) -> None:
        delete_acme(store)
        for method, resource, body in (
            ("POST", "/v1/tenants/{tenant_id}/projects", {"name": "New"}),
            ("POST", "/v1/tenants/{tenant_id}/users/invite", {"email": "a@acme.com", "role": "observer"}),
            ("PUT", "/v1/tenants/{tenant_id}", {"name": "New"}),
        ):
            assert call(method, resource, body=body).error == (403, "Forbidden")


class TestCertificate:
    def test_is_complete_when_every_service_has_reported(self, store: Store) -> None:
        delete_acme(store)
        first, *others = sorted(SERVICES)
        consumer(batch(*(removed(service) for service in others)))
        assert not CertificateTable(store, "acme").get().is_complete
        for _ in range(2):
            consumer(batch(removed(first)))
        assert CertificateTable(store, "acme").get().is_complete
        shown = admin({"command": "certificate", "tenant_id": "acme"})["certificate"]
        assert shown["complete"]
        assert shown["removed"] == {service: {"items": 2, "objects": 1} for service in sorted(SERVICES)}

    def test_is_missing_for_an_active_tenant(self, store: Store) -> None:
        with pytest.raises(TenantNotFound):
            CertificateTable(store, "acme").get()
        assert admin({"command": "certificate", "tenant_id": "acme"})["error"] == "NotFound"

    def test_is_incomplete_while_runs_end(self, store: Store) -> None:
        request_deletion(store, "acme", by="user:1", now=AT)
        assert admin({"command": "certificate", "tenant_id": "acme"})["certificate"] == {
            "tenant_id": "acme",
            "requested_by": "user:1",
            "requested_at": to_text(AT),
            "deleted_at": None,
            "complete": False,
            "removed": {},
        }

    def test_all_services_must_report(self) -> None:
        assert {service.name for service in DECLARED} == SERVICES


class TestRemover:
    def test_removes_everything_but_the_id_and_the_certificate(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("USER_POOL_ID", make_pool()[1])
        wiring.user_pool.cache_clear()
        body = {"email": "a@acme.com", "role": "tenant_admin"}
        key = {"Idempotency-Key": "key-1"}
        assert call("POST", "/v1/tenants/{tenant_id}/users/invite", body=body, headers=key).status == 201
        create(store, "1")
        delete_acme(store)
        [deleted] = [
            parse(TenantDeleted, event) for event in outbox_events(store) if event["type"] == TenantDeleted.TYPE
        ]
        assert remover(batch(deleted)) == {"batchItemFailures": []}
        own = Expression("#PK = :pk", {"pk": "TENANT#acme#TENANTS"})
        assert [item["SK"] for item in store.query_all(own)] == ["CERTIFICATE"]
        assert list(wiring.user_pool().all()) == []
        assert "acme:tenants:data_removed" in [event["id"] for event in outbox_events(store)]
