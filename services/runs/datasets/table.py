"""Storage of datasets, their versions and their uploads: one partition for all of a tenant's.

The items are files in the bucket, `tenants/<t>/runs/datasets/<dst_…>/…`, see `gateway`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.runs.datasets.domain.dataset import Dataset, DatasetVersion, Upload
from services.runs.errors import (
    DatasetChanged,
    DatasetNotFound,
    DatasetVersionNotFound,
    UploadChanged,
    UploadNotFound,
)
from services.runs.partitions import DATASETS, SLICE
from services.runs.runs.table.storage import StoredBytes
from shared.events.envelope import Event
from shared.events.runs import RunEvent, RunsEvent
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Key, Value
from shared.storage.store import Store
from shared.storage.table import TenantTable

UPLOADS_DUE = DueIndex(SLICE, "UPLOAD")
REMOVALS_DUE = DueIndex(SLICE, "DATASET")
_VERSION_NUMBERS = range(1, 10_000_000)
"""The version numbers that fit into a sort key."""


class DatasetVersionTable(TenantTable[DatasetVersion]):
    """The versions of one dataset."""

    id_field = "version"
    codec = Codec(DatasetVersion, flat={"content": "content_"})
    not_found = DatasetVersionNotFound

    def __init__(self, store: Store, tenant_id: str, dataset_id: str) -> None:
        super().__init__(store, tenant_id, DATASETS)
        self.prefix = f"VERSION#{dataset_id}#"  # pyright: ignore[reportAttributeAccessIssue]  # it names the dataset

    def id_of(self, record: DatasetVersion) -> str:
        """Return the number with leading zeros, so that versions sort by number."""
        return f"{record.version:07}"

    def get_number(self, number: int) -> DatasetVersion:
        """Return a version.

        Raises:
            DatasetVersionNotFound: the dataset has no such version.
        """
        if number not in _VERSION_NUMBERS:
            raise DatasetVersionNotFound
        return self.get(f"{number:07}")


class UploadTable(TenantTable[Upload]):
    """The uploads of one dataset."""

    id_field = "upload_id"
    codec = Codec(Upload)
    not_found, changed = UploadNotFound, UploadChanged

    def __init__(self, store: Store, tenant_id: str, dataset_id: str) -> None:
        super().__init__(store, tenant_id, DATASETS)
        self.prefix = f"UPLOAD#{dataset_id}#"  # pyright: ignore[reportAttributeAccessIssue]  # it names the dataset

    def indexed(self, record: Upload) -> Mapping[str, Value]:
        """Return the place in the queue of the reaper."""
        return UPLOADS_DUE.place(record.due_at, record.upload_id) if record.due_at else {}

    def save(self, upload: Upload, events: Sequence[Event[RunsEvent]] = ()) -> None:
        """Replace the preceding revision of an upload.

        Raises:
            UploadChanged, UploadNotFound: another request changed it, or its dataset was deleted.
        """
        transaction = self.transaction(is_step=True)
        self.replace(transaction, upload)
        transaction.emit(*events)
        self.store.commit(transaction)


@dataclass(frozen=True, slots=True)
class RemovedDataset:
    """A deleted dataset of which files or rows may be left."""

    dataset_id: str
    due_at: datetime
    seq: int = 1


class RemovedDatasetTable(TenantTable[RemovedDataset]):
    """The deleted datasets of a tenant that the reaper clears."""

    prefix, id_field = "REMOVED#", "dataset_id"
    codec = Codec(RemovedDataset)

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, DATASETS)

    def indexed(self, record: RemovedDataset) -> Mapping[str, Value]:
        """Return the place in the queue of the reaper."""
        return REMOVALS_DUE.place(record.due_at, record.dataset_id)

    def clear(self, removed: RemovedDataset) -> None:
        """Delete the rows of a deleted dataset, last the record of its deletion."""
        keys = [
            Key(str(item["PK"]), str(item["SK"]))
            for prefix in (f"VERSION#{removed.dataset_id}#", f"UPLOAD#{removed.dataset_id}#")
            for item in self.items_below(self.pk, prefix)
        ]
        self.store.remove([*keys, self.key(removed.dataset_id)])


class DatasetTable(TenantTable[Dataset]):
    """The datasets of a tenant."""

    prefix, id_field = "DATASET#", "dataset_id"
    codec = Codec(Dataset)
    not_found, changed = DatasetNotFound, DatasetChanged

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, DATASETS)

    def create(self, dataset: Dataset, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new dataset.

        Raises:
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=dataset.dataset_id)
        self.add(transaction, dataset)
        self.store.commit(transaction)

    def save(self, dataset: Dataset) -> None:
        """Replace the preceding revision of a dataset.

        Raises:
            DatasetChanged, DatasetNotFound: another request changed or deleted it.
        """
        transaction = self.transaction()
        self.replace(transaction, dataset)
        self.store.commit(transaction)

    def add_upload(self, upload: Upload, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new upload of an existing dataset.

        Raises:
            DatasetNotFound: the dataset was deleted.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            resource_id = f"{upload.dataset_id}:{upload.upload_id}"
            idempotency_key.remember(transaction, SLICE, resource_id=resource_id)
        exists = self.equal(dataset_id=upload.dataset_id)
        transaction.check(self.key(upload.dataset_id), when=exists, otherwise=lambda _: DatasetNotFound())
        UploadTable(self.store, self.tenant_id, upload.dataset_id).add(transaction, upload)
        self.store.commit(transaction)

    def publish(
        self,
        dataset: Dataset,
        version: DatasetVersion,
        events: Sequence[Event[RunEvent]],
        *,
        storage_gb: int,
        upload: Upload | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> None:
        """Write the next version of a dataset, and the end of the upload that it is published from.

        Args:
            dataset: the dataset with the version.
            version: the version.
            events: the event of the stored bytes.
            storage_gb: the plan's limit.
            upload: the published upload.
            idempotency_key: that of the request.

        Raises:
            DatasetChanged, DatasetNotFound: another request changed or deleted the dataset.
            UploadChanged, UploadNotFound: another delivery has ended the upload.
            StorageFull: the version exceeds the plan's storage.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction(is_step=upload is not None)
        if idempotency_key:
            resource_id = f"{dataset.dataset_id}:{version.version}"
            idempotency_key.remember(transaction, SLICE, resource_id=resource_id)
        self.replace(transaction, dataset)
        DatasetVersionTable(self.store, self.tenant_id, dataset.dataset_id).add(transaction, version)
        if upload:
            UploadTable(self.store, self.tenant_id, dataset.dataset_id).replace(transaction, upload)
        StoredBytes(self.store, self.tenant_id).count(transaction, events, storage_gb=storage_gb)
        transaction.emit(*events)
        self.store.commit(transaction)

    def publish_events(self, *events: Event[RunEvent]) -> None:
        """Publish events of a dataset that does not change."""
        transaction = self.transaction()
        transaction.emit(*events)
        self.store.commit(transaction)

    def remove(self, dataset: Dataset, removed: RemovedDataset, events: Sequence[Event[RunEvent]]) -> None:
        """Replace a dataset by the record of its deletion.

        Raises:
            DatasetChanged, DatasetNotFound: another request changed or deleted it.
        """
        transaction = self.transaction()
        self.delete(transaction, dataset)
        RemovedDatasetTable(self.store, self.tenant_id).add(transaction, removed)
        StoredBytes(self.store, self.tenant_id).count(transaction, events)
        transaction.emit(*events)
        self.store.commit(transaction)
