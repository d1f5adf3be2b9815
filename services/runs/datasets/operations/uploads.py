"""Uploads: requested by a client, detected by the reaper or the client's next request, and validated by a job."""

from datetime import datetime

from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain.dataset import (
    CHECK_INTERVAL,
    MAX_BYTES,
    MAX_VALIDATIONS,
    UPLOAD_LIFETIME,
    FieldMapping,
    LineError,
    Upload,
    UploadFormat,
    UploadStatus,
    folder_of,
)
from services.runs.datasets.gateway import DatasetFiles, UploadForm
from services.runs.datasets.table import UPLOADS_DUE, DatasetTable, UploadTable
from services.runs.errors import UploadChanged, UploadNotFound
from services.runs.runs.operations.storage_quota import check_storage_quota
from services.runs.runs.table.storage import StoredBytes
from shared.storage.due import DueEntry, DueQueue
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store
from shared.sweep import Swept, sweep
from shared.tenancy.context import TenantAccess


def uploads_folder(upload: Upload) -> str:
    """Return the folder that contains nothing but an upload's file."""
    return f"{folder_of(upload.dataset_id)}/uploads/{upload.upload_id}"


def path_of(upload: Upload) -> str:
    """Return the path of an upload's file, within its tenant's prefix."""
    return f"{uploads_folder(upload)}/file"


def request_upload(
    store: Store,
    access: TenantAccess,
    dataset_id: str,
    *,
    upload_id: str,
    upload_format: UploadFormat,
    mapping: FieldMapping,
    now: datetime,
    idempotency_key: IdempotencyKey | None,
) -> Upload:
    """Create an upload that waits for its file.

    Raises:
        StorageFull: the tenant stores as much as its plan allows.
    """
    check_storage_quota(StoredBytes(store, access.tenant_id), access)
    upload = domain.request_upload(
        upload_id=upload_id, dataset_id=dataset_id, upload_format=upload_format, mapping=mapping, now=now
    )
    DatasetTable(store, access.tenant_id).add_upload(upload, idempotency_key=idempotency_key)
    return upload


def form_of(files: DatasetFiles, tenant_id: str, upload: Upload) -> UploadForm:
    """Return the form with which a client uploads the file."""
    lasts_s = int(UPLOAD_LIFETIME.total_seconds())
    return files.upload_form(tenant_id, path_of(upload), max_bytes=MAX_BYTES, lasts_s=lasts_s)


def check_upload(
    store: Store, files: DatasetFiles, tenant_id: str, dataset_id: str, upload_id: str, *, now: datetime
) -> Upload:
    """Return an upload. If its file has arrived, its validation is started, as the reaper would do a moment later."""
    uploads = UploadTable(store, tenant_id, dataset_id)
    upload = uploads.get(upload_id)
    if upload.status is not UploadStatus.WAITING or files.size_of(tenant_id, path_of(upload)) is None:
        return upload
    begun, events = domain.begin_validation(tenant_id, upload, now=now)
    try:
        uploads.save(begun, events)
    except UploadChanged:
        return uploads.get(upload_id)
    return begun


def sweep_uploads(store: Store, files: DatasetFiles, *, now: datetime, concurrency: int = 1) -> Swept:
    """Start the validation of files that have arrived, and delete those of ended uploads."""
    queue: DueQueue = DueQueue(store, UPLOADS_DUE)

    def handle(entry: DueEntry) -> None:
        _, dataset_id, upload_id = entry.key.sk.split("#")
        uploads = UploadTable(store, entry.tenant_id, dataset_id)
        upload = uploads.find(upload_id)
        if upload is None or upload.due_at is None or upload.due_at > now:
            return
        try:
            _advance(uploads, files, upload, now=now)
        except (UploadChanged, UploadNotFound):
            return  # Its client or its validation was faster.

    return sweep(queue, handle, now=now, concurrency=concurrency)


def _advance(uploads: UploadTable, files: DatasetFiles, upload: Upload, *, now: datetime) -> None:
    if upload.status.is_final:
        # Nothing can be uploaded any more, so no file can follow.
        files.delete_below(uploads.tenant_id, uploads_folder(upload))
        uploads.save(domain.forget_file(upload))
    elif upload.validations >= MAX_VALIDATIONS:
        error = LineError(0, "The file could not be validated. Upload it again.")
        uploads.save(domain.reject(upload, (error,)))
    elif upload.validations or files.size_of(uploads.tenant_id, path_of(upload)) is not None:
        uploads.save(*domain.begin_validation(uploads.tenant_id, upload, now=now))
    elif upload.expires_at + CHECK_INTERVAL < now:
        error = LineError(0, "No file was uploaded in time. Request another upload.")
        uploads.save(domain.reject(upload, (error,)))
    else:
        uploads.save(domain.wait_again(upload, now=now))
