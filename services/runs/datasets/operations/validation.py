"""The job that validates an uploaded file and publishes it as a version, or rejects it with its bad lines.

The file is read in chunks and written in blocks, so that memory does not grow with its lines: at most the compressed
items, one block and one line are in memory.
"""

from datetime import datetime

from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain.dataset import Dataset, DatasetVersion, LineError, Upload, UploadStatus, folder_of
from services.runs.datasets.domain.formats import CheckInputs, UploadReader
from services.runs.datasets.gateway import DatasetFiles, StoredItems, compress
from services.runs.datasets.operations.uploads import path_of
from services.runs.datasets.table import DatasetTable, UploadTable
from services.runs.errors import DatasetNotFound, StorageFull, UploadChanged, UploadNotFound
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


def validate_upload(
    store: Store,
    files: DatasetFiles,
    access: TenantAccess,
    dataset_id: str,
    upload_id: str,
    *,
    check_inputs: CheckInputs,
    now: datetime,
) -> Upload | None:
    """Validate the file of an upload, and publish or reject it. A second delivery changes nothing.

    Returns:
        The ended upload, or None if there is nothing to validate.
    """
    uploads = UploadTable(store, access.tenant_id, dataset_id)
    upload = uploads.find(upload_id)
    if upload is None or upload.status is not UploadStatus.VALIDATING:
        return None
    reader = UploadReader(upload.format, upload.mapping, check_inputs)
    size = files.size_of(access.tenant_id, path_of(upload)) or 0
    stored = compress(reader.read(files.chunks(access.tenant_id, path_of(upload), size=size)))
    try:
        if reader.errors:
            return _reject(uploads, upload, tuple(reader.errors))
        return _publish(store, files, access, upload, reader, stored, now=now)
    except StorageFull as full:
        return _reject(uploads, upload, (LineError(0, str(full)),))
    except (DatasetNotFound, UploadNotFound, UploadChanged):
        return None  # It was deleted meanwhile, or another delivery has ended it.


def _reject(uploads: UploadTable, upload: Upload, errors: tuple[LineError, ...]) -> Upload:
    rejected = domain.reject(upload, errors)
    uploads.save(rejected)
    return rejected


def _publish(
    store: Store,
    files: DatasetFiles,
    access: TenantAccess,
    upload: Upload,
    reader: UploadReader,
    stored: StoredItems,
    *,
    now: datetime,
) -> Upload:
    def attempt() -> Upload:
        dataset = DatasetTable(store, access.tenant_id).get(upload.dataset_id)
        version = write_version(
            files, access.tenant_id, dataset, stored, items=reader.items, size=reader.bytes, upload=upload, now=now
        )
        after, events = domain.publish_version(access.tenant_id, dataset, version, now=now)
        published = domain.publish_upload(upload, version.version)
        DatasetTable(store, access.tenant_id).publish(
            after, version, events, storage_gb=access.allowance.storage_gb, upload=published
        )
        return published

    return retry_on_conflict(attempt)


def write_version(
    files: DatasetFiles,
    tenant_id: str,
    dataset: Dataset,
    stored: StoredItems,
    *,
    items: int,
    size: int,
    now: datetime,
    upload: Upload | None = None,
) -> DatasetVersion:
    """Write the file of a dataset's next version, before the transaction that refers to it."""
    number = dataset.version + 1
    return DatasetVersion(
        dataset_id=dataset.dataset_id,
        version=number,
        items=items,
        bytes=size,
        content=files.write(tenant_id, f"{folder_of(dataset.dataset_id)}/versions/{number:07}", stored),
        stored_bytes=len(stored.content),
        offsets=stored.offsets,
        created_at=now,
        upload_id=upload.upload_id if upload else None,
    )
