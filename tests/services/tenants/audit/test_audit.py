"""The audit log: it records every change once, without content."""

from typing import Any

import pytest

from services.tenants import wiring
from services.tenants.audit.table import AuditLog
from services.tenants.functions.consumer import handler as consumer
from shared.events.envelope import Event, parse
from shared.events.tenants import ChangeRecorded
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.gateway import REQUEST_ID
from tests.messages import batch
from tests.services.tenants.acme import LATER, delete_acme, outbox_events
from tests.services.tenants.client import call
from tests.services.tenants.pool import make_pool
from tests.services.tenants.received import subscription_changed

AUDIT = "/v1/tenants/{tenant_id}/audit"
PROJECTS = "/v1/tenants/{tenant_id}/projects"
SECRET = "s3cret-of-a-project"


def recorded(store: Store) -> list[Event[ChangeRecorded]]:
    return [parse(ChangeRecorded, event) for event in outbox_events(store) if event["type"] == ChangeRecorded.TYPE]


def deliver(store: Store) -> None:
    assert consumer(batch(*recorded(store))) == {"batchItemFailures": []}


def entries() -> list[dict[str, Any]]:
    return call("GET", AUDIT).body["audit"]


class TestAudit:
    def test_returns_principal_action_and_resulting_versions(self, store: Store) -> None:
        project = call("POST", PROJECTS, role=Role.DEVELOPER, body={"name": SECRET}).body["project"]
        deliver(store)
        [entry] = entries()
        assert entry.pop("at")
        assert entry == {
            "request_id": REQUEST_ID,
            "principal": "user:8f1c",
            "role": "developer",
            "action": f"POST {PROJECTS}",
            "target": "/v1/tenants/acme/projects",
            "network": "",
            "result": "done",
            "facts": [{"type": "project.created.v1", "subject": project["project_id"], "seq": 1}],
        }

    def test_records_a_repeated_event_once(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": "One"})
        deliver(store)
        deliver(store)
        assert len(entries()) == 1

    def test_contains_no_content(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": SECRET, "description": SECRET})
        deliver(store)
        assert SECRET not in str(entries())

    def test_records_changes_by_operators(self, store: Store) -> None:
        call("POST", "/v1/admin/tenants/{tenant_id}/suspend", role=Role.PLATFORM_ADMIN, body={"reason": "Spam"})
        deliver(store)
        [entry] = entries()
        assert (entry["role"], entry["facts"][0]["type"]) == ("platform_admin", "tenant.suspended.v1")

    def test_records_changes_by_billing(self, store: Store) -> None:
        consumer(batch(subscription_changed("acme", suspended=True)))
        deliver(store)
        assert [entry["principal"] for entry in entries()] == ["service:billing"]

    def test_records_an_invitation_once(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USER_POOL_ID", make_pool()[1])
        wiring.user_pool.cache_clear()
        body = {"email": "a@acme.com", "role": "analyst"}
        assert call("POST", "/v1/tenants/{tenant_id}/users/invite", body=body).status == 201
        deliver(store)
        [entry] = entries()
        assert "a@acme.com" not in str(entry)

    def test_does_not_record_reads_and_refused_requests(self, store: Store) -> None:
        call("GET", PROJECTS)
        call("POST", PROJECTS, role=Role.ANALYST, body={"name": "One"})
        call("DELETE", PROJECTS + "/{project_id}", project_id="prj_none")
        assert recorded(store) == []

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST, Role.OBSERVER])
    def test_requires_an_admin(self, role: Role) -> None:
        assert call("GET", AUDIT, role=role).error == (403, "Forbidden")

    def test_pages_are_newest_first(self, store: Store) -> None:
        for name in ("A", "B"):
            call("POST", PROJECTS, body={"name": name})
        events = [
            event.model_copy(update={"id": f"{number}", "occurred_at": LATER.replace(minute=number)})
            for number, event in enumerate([*recorded(store), *recorded(store)])
        ]
        consumer(batch(*events))
        first, after = AuditLog(store, "acme").page(limit=1, after=None)
        second, _ = AuditLog(store, "acme").page(limit=1, after=after)
        assert [event.id for event in (*first, *second)] == [events[-1].id, events[-2].id]

    def test_records_nothing_of_a_deleted_tenant(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": "One"})
        delete_acme(store)
        deliver(store)
        assert AuditLog(store, "acme").page(limit=10, after=None) == ([], None)
