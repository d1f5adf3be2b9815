"""The audit: every change, once, and nothing of what is in it."""

from typing import Any

import pytest

from services.tenants import wiring
from services.tenants.consumer import consumer
from services.tenants.table.audit import page_of_entries
from shared.events.envelope import Event, parse
from shared.events.tenants import ChangeRecorded
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.gateway import REQUEST_ID
from tests.messages import batch
from tests.services.tenants.acme import LATER, bury, said
from tests.services.tenants.answers import call
from tests.services.tenants.heard import subscription_changed
from tests.services.tenants.pool import make_pool

AUDIT = "/v1/tenants/{tenant_id}/audit"
PROJECTS = "/v1/tenants/{tenant_id}/projects"
SECRET = "s3cret-of-a-project"


def recorded(store: Store) -> list[Event[ChangeRecorded]]:
    return [parse(ChangeRecorded, event) for event in said(store) if event["type"] == ChangeRecorded.TYPE]


def hear(store: Store) -> None:
    assert consumer(batch(*recorded(store))) == {"batchItemFailures": []}


def entries() -> list[dict[str, Any]]:
    return call("GET", AUDIT).body["audit"]


class TestAudit:
    def test_shows_who_did_what_and_what_is_so_since(self, store: Store) -> None:
        project = call("POST", PROJECTS, role=Role.DEVELOPER, body={"name": SECRET}).body["project"]
        hear(store)
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

    def test_an_event_that_comes_twice_is_one_entry(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": "One"})
        hear(store)
        hear(store)
        assert len(entries()) == 1

    def test_holds_nothing_of_what_is_in_a_change(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": SECRET, "description": SECRET})
        hear(store)
        assert SECRET not in str(entries())

    def test_an_operators_change_stands_in_the_tenants_audit(self, store: Store) -> None:
        call("POST", "/v1/admin/tenants/{tenant_id}/suspend", role=Role.PLATFORM_ADMIN, body={"reason": "Spam"})
        hear(store)
        [entry] = entries()
        assert (entry["role"], entry["facts"][0]["type"]) == ("platform_admin", "tenant.suspended.v1")

    def test_so_does_what_billing_does(self, store: Store) -> None:
        consumer(batch(subscription_changed("acme", suspended=True)))
        hear(store)
        assert [entry["principal"] for entry in entries()] == ["service:billing"]

    def test_an_invitation_is_one_entry(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USER_POOL_ID", make_pool()[1])
        wiring.identity.cache_clear()
        body = {"email": "a@acme.com", "role": "analyst"}
        assert call("POST", "/v1/tenants/{tenant_id}/users/invite", body=body).status == 201
        hear(store)
        [entry] = entries()
        assert "a@acme.com" not in str(entry)

    def test_reading_and_what_is_refused_are_no_changes(self, store: Store) -> None:
        call("GET", PROJECTS)
        call("POST", PROJECTS, role=Role.ANALYST, body={"name": "One"})
        call("DELETE", PROJECTS + "/{project_id}", project_id="prj_none")
        assert recorded(store) == []

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST, Role.OBSERVER])
    def test_is_for_admins(self, role: Role) -> None:
        assert call("GET", AUDIT, role=role).error == (403, "Forbidden")

    def test_pages_go_on_newest_first(self, store: Store) -> None:
        for name in ("A", "B"):
            call("POST", PROJECTS, body={"name": name})
        events = [
            event.model_copy(update={"id": f"{number}", "occurred_at": LATER.replace(minute=number)})
            for number, event in enumerate([*recorded(store), *recorded(store)])
        ]
        consumer(batch(*events))
        first, after = page_of_entries(store, "acme", limit=1, after=None)
        second, _ = page_of_entries(store, "acme", limit=1, after=after)
        assert [event.id for event in (*first, *second)] == [events[-1].id, events[-2].id]

    def test_of_a_tenant_that_is_gone_nothing_is_kept(self, store: Store) -> None:
        call("POST", PROJECTS, body={"name": "One"})
        bury(store)
        hear(store)
        assert page_of_entries(store, "acme", limit=10, after=None) == ([], None)
