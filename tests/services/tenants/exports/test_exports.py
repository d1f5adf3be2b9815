"""Exports: their request, progress and files."""

import json
from urllib.parse import urlsplit

import pytest

from services.tenants.functions.commands import handler as admin
from services.tenants.functions.consumer import handler as consumer
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.services import SERVICES
from shared.aws.clients import own_client
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantDataExported
from shared.storage.items import Key
from shared.storage.objects import Documents
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.messages import batch
from tests.services.tenants.acme import LATER, delete_acme, outbox_events
from tests.services.tenants.client import TenantsApiResponse, call
from tests.services.tenants.received import AT
from tests.tables import BUCKET

TENANT = "/v1/admin/tenants/{tenant_id}"
EXPORT = f"{TENANT}/exports/{{export_id}}"

pytestmark = pytest.mark.usefixtures("store")


def ask(key: str | None = None) -> TenantsApiResponse:
    """Request an export."""
    return call("POST", f"{TENANT}/export", role=Role.PLATFORM_ADMIN, headers={"Idempotency-Key": key} if key else {})


def look(export_id: str) -> TenantsApiResponse:
    """Get an export."""
    return call("GET", EXPORT, role=Role.PLATFORM_ADMIN, export_id=export_id)


def done(service: str, export_id: str) -> Event[TenantDataExported]:
    """Return the event of a finished part, after writing the list of its one file to the bucket."""
    key = f"tenants/acme/exports-{service}/{export_id}/00001-abc.jsonl.gz"
    file = {"key": key, "sha256": "abc", "lines": 3, "size_bytes": 70}
    documents = Documents(own_client("s3"), bucket=BUCKET)
    index = {"service": service, "lines": 3, "files": [file]}
    stored = documents.write("acme", f"exports-{service}/{export_id}/index.json", index)
    data = TenantDataExported(
        service=service, export_id=export_id, files=1, lines=3, index_key=stored.key, index_sha256=stored.sha256
    )
    return new_event(
        data, event_id=f"{export_id}:{service}", tenant_id="acme", subject=f"{export_id}:{service}", seq=2, at=AT
    )


class TestExport:
    def test_returns_202_with_the_location_and_publishes(self, store: Store) -> None:
        answer = ask()
        export = answer.body["export"]
        assert answer.status == 202
        assert answer.headers["Location"] == f"/v1/admin/tenants/acme/exports/{export['export_id']}"
        assert (export["status"], export["services"], export["files"]) == ("running", [], [])
        [requested] = [event for event in outbox_events(store) if event["type"] == "tenant.export_requested.v1"]
        assert requested["data"] == {"export_id": export["export_id"]}

    def test_executes_a_repeated_request_once(self, store: Store) -> None:
        first, second = ask("key-1"), ask("key-1")
        assert second.headers["Idempotent-Replayed"] == "true"
        assert first.headers["Location"] == second.headers["Location"]
        assert len([event for event in outbox_events(store) if event["type"] == "tenant.export_requested.v1"]) == 1

    def test_is_complete_when_every_service_is_done(self) -> None:
        export_id = ask().body["export"]["export_id"]
        *others, last = sorted(SERVICES)
        assert consumer(batch(*(done(service, export_id) for service in others))) == {"batchItemFailures": []}
        halfway = look(export_id).body["export"]
        assert (halfway["status"], halfway["manifest_url"], len(halfway["services"])) == ("running", None, len(others))
        for _ in range(2):
            consumer(batch(done(last, export_id)))
        export = look(export_id).body["export"]
        assert (export["status"], export["completed_at"]) == ("complete", "2026-11-22T13:00:00.000Z")
        assert {(file["service"], file["lines"]) for file in export["files"]} == {(name, 3) for name in SERVICES}

    def test_urls_are_signed_and_below_the_tenants_prefix(self) -> None:
        export_id = ask().body["export"]["export_id"]
        consumer(batch(*(done(service, export_id) for service in sorted(SERVICES))))
        export = look(export_id).body["export"]
        urls: list[str] = [export["manifest_url"], *(file["url"] for file in export["files"])]
        for url in urls:
            assert "/tenants/acme/exports-" in urlsplit(url).path
            assert "X-Amz-Signature=" in url
            assert "X-Amz-Expires=900" in url
        manifest = own_client("s3").get_object(
            Bucket=BUCKET, Key=f"tenants/acme/exports-tenants/{export_id}/manifest.json"
        )
        manifest_body = json.loads(manifest["Body"].read())
        assert (manifest_body["tenant_id"], [part["service"] for part in manifest_body["services"]]) == (
            "acme",
            sorted(SERVICES),
        )

    def test_admin_command_returns_the_same_export(self) -> None:
        export_id = admin({"command": "export_tenant", "tenant_id": "acme"})["export"]["export_id"]
        consumer(batch(*(done(service, export_id) for service in sorted(SERVICES))))
        shown = admin({"command": "show_export", "tenant_id": "acme", "export_id": export_id})["export"]
        assert (shown["status"], len(shown["files"])) == ("complete", len(SERVICES))


class TestRefusals:
    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM_ADMIN])
    def test_requires_a_platform_admin(self, role: Role) -> None:
        assert call("POST", f"{TENANT}/export", role=role).error == (403, "Forbidden")
        assert call("GET", EXPORT, role=role, export_id="xpt_1").error == (403, "Forbidden")

    def test_returns_409_for_a_tenant_being_deleted(self, store: Store) -> None:
        tenants.request_deletion(store, "acme", by="user:1", now=LATER)
        assert ask().error == (409, "Conflict")

    def test_returns_404_for_a_deleted_tenant(self, store: Store) -> None:
        delete_acme(store)
        assert ask().error == (404, "NotFound")

    def test_returns_404_for_an_unknown_export(self) -> None:
        assert look("xpt_1").error == (404, "NotFound")


class TestConcurrentDeletion:
    def test_late_part_of_a_deleted_tenant_leaves_nothing(self, store: Store) -> None:
        export_id = ask().body["export"]["export_id"]
        events = [done(service, export_id) for service in sorted(SERVICES)]
        store.remove([Key("TENANT#acme#TENANTS", f"EXPORT#{export_id}")])
        assert consumer(batch(*events)) == {"batchItemFailures": []}
        found = own_client("s3").list_objects_v2(Bucket=BUCKET, Prefix="tenants/acme/exports-tenants/")
        assert [entry["Key"] for entry in found.get("Contents", ()) if "manifest" in entry["Key"]] == []
