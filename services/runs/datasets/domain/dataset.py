"""Datasets, their versions and their uploads."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.document_ref import DocumentRef
from shared.events.envelope import Event, new_event
from shared.events.runs import (
    ArtifactDeleted,
    ArtifactDownloaded,
    ArtifactStored,
    DatasetUploadReceived,
    RunEvent,
    RunsEvent,
)

MAX_ITEMS = 10_000
MAX_BYTES = 50_000_000
"""The maximum size of a version's items as JSON lines, and of an uploaded file."""
MAX_ERRORS = 100
"""The number of bad lines that an upload reports; validation ends with the last of them."""
MAX_VALIDATIONS = 3
"""The number of times that the validation of an upload is started, before the upload is rejected."""
UPLOAD_LIFETIME = timedelta(minutes=5)
"""The time within which an upload must begin; the credentials that sign it may expire soon after."""
CHECK_INTERVAL = timedelta(seconds=15)
"""The interval at which the reaper looks for the file of an upload."""
VALIDATION_TIMEOUT = timedelta(minutes=16)
"""The time after which an interrupted validation starts again: a minute more than the timeout of its function."""


class UploadFormat(StrEnum):
    """The formats of uploaded files."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI_EVALS = "openai_evals"


class UploadStatus(StrEnum):
    """The states of an upload."""

    WAITING = "waiting"
    """The file has not arrived yet."""
    VALIDATING = "validating"
    PUBLISHED = "published"
    REJECTED = "rejected"
    """Nothing was published; the errors name the reason."""

    @property
    def is_final(self) -> bool:
        """Whether the state can no longer change."""
        return self in {UploadStatus.PUBLISHED, UploadStatus.REJECTED}


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """The fields of an uploaded line that contain the parts of an item; None for the format's own names."""

    input: str | None = None
    expected: str | None = None
    item_id: str | None = None
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineError:
    """The reason why a line of an upload is not an item."""

    line: int
    """From 1; 0 for the file as a whole."""
    message: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with the numbers of its latest version."""

    dataset_id: str
    name: str
    description: str | None
    seq: int
    created_at: datetime
    updated_at: datetime
    version: int = 0
    """The latest version; 0 before the first one."""
    items: int = 0
    bytes: int = 0
    """The size of the latest version's items as JSON lines."""
    stored_bytes: int = 0
    """The bytes that all versions take in the bucket, which count toward the plan's storage."""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable version of a dataset."""

    dataset_id: str
    version: int
    items: int
    bytes: int
    content: DocumentRef
    """The compressed items in the bucket."""
    stored_bytes: int
    offsets: tuple[int, ...]
    """The position of each block of items in the stored file, and its end."""
    created_at: datetime
    upload_id: str | None = None
    """The upload that it was published from; None: items were added from runs."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is to become a version of a dataset."""

    upload_id: str
    dataset_id: str
    format: UploadFormat
    mapping: FieldMapping
    status: UploadStatus
    seq: int
    created_at: datetime
    expires_at: datetime
    due_at: datetime | None
    """The time at which the reaper handles it; None: nothing of it is left in the bucket."""
    version: int | None = None
    errors: tuple[LineError, ...] = ()
    validations: int = 0
    """The number of times that its validation was started."""


def folder_of(dataset_id: str) -> str:
    """Return the folder of a dataset's files, within its tenant's prefix."""
    return f"runs/datasets/{dataset_id}"


def create_dataset(*, dataset_id: str, name: str, description: str | None, now: datetime) -> Dataset:
    """Return a dataset without a version."""
    return Dataset(dataset_id, name, description, seq=1, created_at=now, updated_at=now)


def change_dataset(dataset: Dataset, *, name: str, description: str | None, now: datetime) -> Dataset:
    """Return a dataset with another name and description."""
    return replace(dataset, name=name, description=description, seq=dataset.seq + 1, updated_at=now)


def request_upload(
    *, upload_id: str, dataset_id: str, upload_format: UploadFormat, mapping: FieldMapping, now: datetime
) -> Upload:
    """Return an upload that waits for its file."""
    return Upload(
        upload_id,
        dataset_id,
        upload_format,
        mapping,
        UploadStatus.WAITING,
        seq=1,
        created_at=now,
        expires_at=now + UPLOAD_LIFETIME,
        due_at=now + CHECK_INTERVAL,
    )


def begin_validation(tenant_id: str, upload: Upload, *, now: datetime) -> tuple[Upload, list[Event[RunsEvent]]]:
    """Return an upload whose file has arrived, and the event that starts its validation."""
    begun = replace(
        upload,
        status=UploadStatus.VALIDATING,
        validations=upload.validations + 1,
        due_at=now + VALIDATION_TIMEOUT,
        seq=upload.seq + 1,
    )
    received = new_event(
        DatasetUploadReceived(dataset_id=upload.dataset_id, upload_id=upload.upload_id),
        event_id=f"{upload.upload_id}:received:{begun.validations}",
        tenant_id=tenant_id,
        subject=upload.upload_id,
        seq=begun.seq,
        at=now,
    )
    return begun, [received]


def wait_again(upload: Upload, *, now: datetime) -> Upload:
    """Return an upload whose file has not arrived, due for the next check."""
    return replace(upload, due_at=now + CHECK_INTERVAL, seq=upload.seq + 1)


def reject(upload: Upload, errors: tuple[LineError, ...]) -> Upload:
    """Return a rejected upload. Its file is deleted once nothing can be uploaded any more."""
    return _end(replace(upload, status=UploadStatus.REJECTED, errors=errors[:MAX_ERRORS]))


def publish_upload(upload: Upload, version: int) -> Upload:
    """Return a published upload."""
    return _end(replace(upload, status=UploadStatus.PUBLISHED, version=version))


def _end(upload: Upload) -> Upload:
    return replace(upload, seq=upload.seq + 1, due_at=upload.expires_at + CHECK_INTERVAL)


def forget_file(upload: Upload) -> Upload:
    """Return an ended upload of whose file nothing is left."""
    return replace(upload, due_at=None, seq=upload.seq + 1)


def publish_version(
    tenant_id: str, dataset: Dataset, version: DatasetVersion, *, now: datetime
) -> tuple[Dataset, list[Event[RunEvent]]]:
    """Return the dataset with its next version, and the event of the stored bytes."""
    after = replace(
        dataset,
        version=version.version,
        items=version.items,
        bytes=version.bytes,
        stored_bytes=dataset.stored_bytes + version.stored_bytes,
        seq=dataset.seq + 1,
        updated_at=now,
    )
    name = f"v{version.version}"
    stored = ArtifactStored(run_id=dataset.dataset_id, artifact_id=name, bytes=version.stored_bytes)
    return after, [_artifact_event(tenant_id, dataset, name, stored, "stored", seq=1, at=now)]


def delete_dataset(tenant_id: str, dataset: Dataset, *, now: datetime) -> list[Event[RunEvent]]:
    """Return the event that subtracts the bytes of all versions; none if nothing is stored."""
    if not dataset.stored_bytes:
        return []
    deleted = ArtifactDeleted(run_id=dataset.dataset_id, artifact_id="versions", bytes=dataset.stored_bytes)
    return [_artifact_event(tenant_id, dataset, "versions", deleted, "deleted", seq=2, at=now)]


def download_event(tenant_id: str, dataset: Dataset, version: DatasetVersion, *, now: datetime) -> Event[RunEvent]:
    """Return the event of a download link; one per version and hour, however many links are issued."""
    hour, name = now.replace(minute=0, second=0, microsecond=0), f"v{version.version}"
    # A dataset belongs to no agent. Usage by agent shows its egress under its own id.
    data = ArtifactDownloaded(
        run_id=dataset.dataset_id, agent_id=dataset.dataset_id, artifact_id=name, bytes=version.stored_bytes
    )
    return _artifact_event(tenant_id, dataset, name, data, f"downloaded:{hour:%Y-%m-%dT%H}", seq=1, at=hour)


def _artifact_event(
    tenant_id: str, dataset: Dataset, name: str, data: RunEvent, change: str, *, seq: int, at: datetime
) -> Event[RunEvent]:
    subject = f"{dataset.dataset_id}:{name}"
    return new_event(data, event_id=f"{subject}:{change}", tenant_id=tenant_id, subject=subject, seq=seq, at=at)
