"""Writing an export part by part: each is written by a message of its own, which the part before has said.

What a part holds, where the next one begins, and the word that wakes it are one transaction. So a part that fails is
tried again from its beginning, one that is there is never written twice, and a tenant may be of any size. All is read
with the tenant's own credentials.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from shared.copies.tenant_access import DELETED, access_key
from shared.declaration import Slice, exports_of
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantDataExported, TenantExportRequested, TenantPartExported
from shared.export import sources
from shared.export.part import Size, next_part
from shared.export.progress import Progress, follows, get_progress, progress_key, to_item
from shared.messaging.consumer import EventConsumer
from shared.storage.credentials import acting_for
from shared.storage.depot import Depot
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.objects import Artifacts, Documents
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import Expression, Transaction


class _SomebodyWasFaster(Exception):
    """The part is written already."""


class _Gone(Exception):
    """The tenant was deleted meanwhile."""


def exporter(
    name: str,
    *,
    store: Callable[[], Store],
    depot: Callable[[], Depot],
    traces: Traces,
    tombstone: Callable[[Slice, str], Key] = access_key,
    size: Size = Size(),  # noqa: B008 — it is frozen
) -> EventConsumer:
    """The consumer of `tenant.export_requested` of a service.

    Args:
        name: of the service.
        store: its slice, of the tenant that is acted for.
        depot: its documents, likewise.
        traces: where the rows are.
        tombstone: where it says whether the tenant is gone.
        size: of a part.
    """
    consumer = EventConsumer(f"{name}.exporter")

    def write(tenant_id: str, export_id: str, delivery: Delivery, *, files_before: int) -> None:
        with acting_for(tenant_id):
            writer = _Writer(name, store(), depot(), traces, tombstone, size)
            writer.write_part(tenant_id, export_id, files_before=files_before, now=delivery.received_at)

    @consumer.on(TenantExportRequested)
    def begin_export(event: Event[TenantExportRequested], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """The first part is written."""
        write(event.tenant_id, event.data.export_id, delivery, files_before=0)

    @consumer.on(TenantPartExported)
    def go_on_with_export(event: Event[TenantPartExported], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """The part behind the one that this tells of is written."""
        if event.data.service == name:
            write(event.tenant_id, event.data.export_id, delivery, files_before=event.data.files)

    return consumer


@dataclass(frozen=True, slots=True)
class _Writer:
    name: str
    store: Store
    depot: Depot
    traces: Traces
    tombstone: Callable[[Slice, str], Key]
    size: Size

    def write_part(self, tenant_id: str, export_id: str, *, files_before: int, now: datetime) -> None:
        before = get_progress(self.store, tenant_id, export_id)
        if before.is_complete or len(before.files) != files_before:
            return
        part = next_part(self._sources(tenant_id, now), before.goes_on, self.size)
        # The digest keeps two who write the same part at once from writing over each other.
        name = f"{len(before.files) + 1:05}-{part.sha256[:16]}.jsonl.gz"
        key = f"tenants/{tenant_id}/{self._folder(export_id)}/{name}"
        if part.lines:
            self._put(key, part.body, "application/gzip")
        after = before.with_part(part, key)
        try:
            self._save(tenant_id, export_id, before, after, now=now)
        except _SomebodyWasFaster:
            return
        except _Gone:
            Artifacts(self.depot.client, bucket=self.depot.bucket).delete_below(tenant_id, exports_of(self.name))

    def _sources(self, tenant_id: str, now: datetime) -> list[sources.Source]:
        documents = [
            sources.documents_of(self.depot.client, self.depot.bucket, tenant_id, folder)
            for folder in self.depot.folders
        ]
        return [*sources.rows_of(self.store, self.traces, tenant_id, now), *documents]

    def _folder(self, export_id: str) -> str:
        return f"{exports_of(self.name)}/{export_id}"

    def _put(self, key: str, body: bytes, media_type: str) -> None:
        self.depot.client.put_object(Bucket=self.depot.bucket, Key=key, Body=body, ContentType=media_type)

    def _save(self, tenant_id: str, export_id: str, before: Progress, after: Progress, *, now: datetime) -> None:
        """Say that the part is there, if it is the next one and the tenant still exists."""
        key = progress_key(self.store.owned, tenant_id, export_id)
        said = self._complete(tenant_id, export_id, after) if after.is_complete else self._part(export_id, after)
        transaction = Transaction(tenant_id)
        transaction.check(
            self.tombstone(self.store.owned, tenant_id),
            when=Expression("attribute_not_exists(#status) OR #status <> :gone", {"gone": DELETED}),
            otherwise=lambda _: _Gone(),
        )
        transaction.put(to_item(key, after), when=follows(before), otherwise=lambda _: _SomebodyWasFaster())
        transaction.emit(
            happened(
                said,
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
        # Named by what it lists, for the same reason as the parts.
        name = f"index-{files[-1]['sha256'][:16] if files else 'empty'}.json"
        index = Documents(self.depot.client, bucket=self.depot.bucket).write(
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
