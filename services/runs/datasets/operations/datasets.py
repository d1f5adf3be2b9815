"""Operations on datasets: each one loads, decides and saves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain.dataset import Dataset, folder_of
from services.runs.datasets.gateway import DatasetFiles
from services.runs.datasets.table import REMOVALS_DUE, DatasetTable, RemovedDataset, RemovedDatasetTable
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.preconditions import check_if_match
from shared.storage.due import DueEntry, DueQueue
from shared.storage.idempotency import IdempotencyKey
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store
from shared.sweep import Swept, sweep

_CLEARED_AFTER = timedelta(minutes=16)
"""When the reaper clears a deleted dataset again: a validation that has not noticed the deletion has ended by then."""


@dataclass(frozen=True, slots=True)
class DatasetUpdate:
    """A merge patch of a dataset. None leaves a field unchanged."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False


def create_dataset(
    store: Store,
    tenant_id: str,
    *,
    dataset_id: str,
    name: str,
    description: str | None,
    now: datetime,
    idempotency_key: IdempotencyKey | None,
) -> Dataset:
    """Create a dataset without a version."""
    created = domain.create_dataset(dataset_id=dataset_id, name=name, description=description, now=now)
    DatasetTable(store, tenant_id).create(created, idempotency_key=idempotency_key)
    return created


def change_dataset(
    store: Store, tenant_id: str, dataset_id: str, patch: DatasetUpdate, *, now: datetime, if_match: str | None
) -> Dataset:
    """Merge a patch into a dataset."""
    datasets = DatasetTable(store, tenant_id)

    def attempt() -> Dataset:
        found = datasets.get(dataset_id)
        check_if_match(if_match, found.seq)
        kept = None if patch.clears_description else found.description
        description = kept if patch.description is None else patch.description
        after = domain.change_dataset(found, name=patch.name or found.name, description=description, now=now)
        datasets.save(after)
        return after

    return retry_on_conflict(attempt)


def delete_dataset(
    store: Store, files: DatasetFiles, tenant_id: str, dataset_id: str, *, now: datetime, if_match: str | None
) -> None:
    """Delete a dataset with all versions, uploads and files. The reaper completes an interrupted deletion."""
    datasets = DatasetTable(store, tenant_id)
    removed = RemovedDataset(dataset_id, now + _CLEARED_AFTER)

    def attempt() -> None:
        found = datasets.get(dataset_id)
        check_if_match(if_match, found.seq)
        datasets.remove(found, removed, domain.delete_dataset(tenant_id, found, now=now))

    retry_on_conflict(attempt)
    try:
        files.delete_below(tenant_id, folder_of(dataset_id))
    except DependencyUnavailable:
        logger.warning("the files of a deleted dataset are left to the reaper", dataset_id=dataset_id)


def clear_removed(store: Store, files: DatasetFiles, *, now: datetime, concurrency: int = 1) -> Swept:
    """Delete what is left of deleted datasets, when no validation of their uploads can be under way."""
    queue = DueQueue(store, REMOVALS_DUE, RemovedDatasetTable)

    def handle(entry: DueEntry) -> None:
        removed = queue.load(entry)
        if removed is None:
            return
        files.delete_below(entry.tenant_id, folder_of(removed.dataset_id))
        RemovedDatasetTable(store, entry.tenant_id).clear(removed)

    return sweep(queue, handle, now=now, concurrency=concurrency)
