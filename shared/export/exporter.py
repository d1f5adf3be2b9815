"""Export of a tenant's data, part by part. The event of each part starts the next one.

The list of a part's files, the cursor of the next part and the event that starts it are saved in one transaction.
Therefore a failed part is retried from its beginning, no part is recorded twice, and a tenant may have any size. All
data is read with the tenant's own credentials.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from shared.aws.credentials import acting_for
from shared.copies.tenant_access import DELETED, access_key
from shared.declaration import Slice, exports_of
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantDataExported, TenantExportRequested, TenantPartExported
from shared.export import sources
from shared.export.part import Size, next_part
from shared.export.progress import Progress, ProgressTable
from shared.messaging.consumer import EventConsumer
from shared.storage.artifact_store import ArtifactStore
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.objects import Artifacts, Documents
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression


class _PartAlreadyRecorded(Exception):
    """A concurrent delivery has recorded the part."""


class _TenantDeleted(Exception):
    """The tenant was deleted meanwhile."""


def exporter(
    name: str,
    *,
    store: Callable[[], Store],
    artifact_store: Callable[[], ArtifactStore],
    partitions: TenantPartitions,
    tombstone_key: Callable[[Slice, str], Key] = access_key,
    size: Size = Size(),  # noqa: B008 — it is frozen
) -> EventConsumer:
    """Return a service's consumer of `tenant.export_requested`.

    Args:
        name: the name of the service.
        store: the slice of the tenant for which the credentials are.
        artifact_store: the documents of that tenant.
        partitions: the partitions of the tenant's rows.
        tombstone_key: returns the key of the item that records whether the tenant is deleted.
        size: the size of a part.
    """
    consumer = EventConsumer(f"{name}.exporter")

    def write(tenant_id: str, export_id: str, delivery: Delivery, *, files_before: int) -> None:
        with acting_for(tenant_id):
            writer = _Writer(name, store(), artifact_store(), partitions, tombstone_key, size)
            writer.write_part(tenant_id, export_id, files_before=files_before, now=delivery.received_at)

    @consumer.on(TenantExportRequested)
    def begin_export(event: Event[TenantExportRequested], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """Write the first part."""
        write(event.tenant_id, event.data.export_id, delivery, files_before=0)

    @consumer.on(TenantPartExported)
    def go_on_with_export(event: Event[TenantPartExported], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """Write the part after the one in the event."""
        if event.data.service == name:
            write(event.tenant_id, event.data.export_id, delivery, files_before=event.data.files)

    return consumer


@dataclass(frozen=True, slots=True)
class _Writer:
    name: str
    store: Store
    artifact_store: ArtifactStore
    partitions: TenantPartitions
    tombstone_key: Callable[[Slice, str], Key]
    size: Size

    def write_part(self, tenant_id: str, export_id: str, *, files_before: int, now: datetime) -> None:
        before = ProgressTable(self.store, tenant_id).find(export_id) or Progress()
        if before.is_complete or len(before.files) != files_before:
            return
        part = next_part(self._sources(tenant_id, now), before.next_cursor, self.size)
        # The hash in the name prevents concurrent deliveries from overwriting each other's file.
        name = f"{len(before.files) + 1:05}-{part.sha256[:16]}.jsonl.gz"
        key = f"tenants/{tenant_id}/{self._folder(export_id)}/{name}"
        if part.lines:
            self._put(key, part.body, "application/gzip")
        after = before.with_part(part, key)
        try:
            self._save(tenant_id, export_id, before, after, now=now)
        except _PartAlreadyRecorded:
            return
        except _TenantDeleted:
            Artifacts(self.artifact_store.client, bucket=self.artifact_store.bucket).delete_below(
                tenant_id, exports_of(self.name)
            )

    def _sources(self, tenant_id: str, now: datetime) -> list[sources.Source]:
        documents = [
            sources.documents_of(self.artifact_store.client, self.artifact_store.bucket, tenant_id, folder)
            for folder in self.artifact_store.folders
        ]
        return [*sources.rows_of(self.store, self.partitions, tenant_id, now), *documents]

    def _folder(self, export_id: str) -> str:
        return f"{exports_of(self.name)}/{export_id}"

    def _put(self, key: str, body: bytes, media_type: str) -> None:
        self.artifact_store.client.put_object(
            Bucket=self.artifact_store.bucket, Key=key, Body=body, ContentType=media_type
        )

    def _save(self, tenant_id: str, export_id: str, before: Progress, after: Progress, *, now: datetime) -> None:
        """Record the part and publish its event, if it is the next one and the tenant is not deleted."""
        exports = ProgressTable(self.store, tenant_id)
        payload = self._complete(tenant_id, export_id, after) if after.is_complete else self._part(export_id, after)
        transaction = exports.transaction()
        transaction.check(
            self.tombstone_key(self.store.owned, tenant_id),
            when=Expression("attribute_not_exists(#status) OR #status <> :gone", {"gone": DELETED}),
            otherwise=lambda _: _TenantDeleted(),
        )
        exports.put(transaction, export_id, after, preceding=before, otherwise=lambda _: _PartAlreadyRecorded())
        transaction.emit(
            new_event(
                payload,
                event_id=f"{export_id}:{self.name}:{'complete' if after.is_complete else len(after.files)}",
                tenant_id=tenant_id,
                subject=f"{export_id}:{self.name}",
                seq=len(after.files) + after.is_complete,
                at=now,
            )
        )
        self.store.commit(transaction)

    def _part(self, export_id: str, progress: Progress) -> TenantPartExported:
        return TenantPartExported(service=self.name, export_id=export_id, files=len(progress.files))

    def _complete(self, tenant_id: str, export_id: str, progress: Progress) -> TenantDataExported:
        files = [asdict(file) for file in progress.files]
        # The hash in the name has the same purpose as in those of the parts.
        name = f"index-{files[-1]['sha256'][:16] if files else 'empty'}.json"
        index = Documents(self.artifact_store.client, bucket=self.artifact_store.bucket).write(
            tenant_id,
            f"{self._folder(export_id)}/{name}",
            {"service": self.name, "lines": progress.lines, "files": files},
        )
        return TenantDataExported(
            service=self.name,
            export_id=export_id,
            files=len(files),
            lines=progress.lines,
            index_key=index.key,
            index_sha256=index.sha256,
        )
