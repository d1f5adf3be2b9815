"""Items of a dataset: pages, downloads, and new versions with the inputs of real runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain.dataset import MAX_BYTES, MAX_ITEMS, Dataset, DatasetVersion
from services.runs.datasets.domain.items import Item, ItemIds
from services.runs.datasets.gateway import DatasetFiles, compress, span_of
from services.runs.datasets.operations.validation import write_version
from services.runs.datasets.table import DatasetTable, DatasetVersionTable
from services.runs.errors import DatasetTooLarge, DatasetVersionNotFound, RunsNotFound
from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from shared.errors import NotFound
from shared.storage.idempotency import IdempotencyKey
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess

LINK_LIFETIME = timedelta(minutes=5)
"""The validity of a download link; the credentials that sign it may expire soon after."""


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """A presigned URL of the items of a version, as compressed JSON lines."""

    url: str
    bytes: int
    expires_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class ItemSource:
    """The runs whose inputs become items."""

    runs: Sequence[Run]
    with_expected: bool
    """Whether the message of a run's output is the expected output of its item."""


def find_version(store: Store, tenant_id: str, dataset_id: str, version: int | None) -> DatasetVersion:
    """Return a version, by default the latest one.

    Raises:
        DatasetNotFound, DatasetVersionNotFound: the dataset or its version does not exist.
    """
    dataset = DatasetTable(store, tenant_id).get(dataset_id)
    number = version or dataset.version
    if not number:
        raise DatasetVersionNotFound
    return DatasetVersionTable(store, tenant_id, dataset_id).get_number(number)


def read_items(files: DatasetFiles, tenant_id: str, version: DatasetVersion, *, first: int, count: int) -> list[Item]:
    """Return some items of a version, by their position from 0."""
    if first >= version.items or count < 1:
        return []
    start, end, skipped = span_of(version.offsets, first=first, count=count)
    found = files.items(tenant_id, version.content, start=start, end=end)
    return list(islice(found, skipped, skipped + count))


def link_of(
    store: Store, files: DatasetFiles, tenant_id: str, dataset_id: str, version: int | None, *, now: datetime
) -> DownloadLink:
    """Return a link to download a version. Its bytes count as egress, once per hour."""
    found = find_version(store, tenant_id, dataset_id, version)
    datasets = DatasetTable(store, tenant_id)
    url = files.address(tenant_id, found.content, lasts_s=int(LINK_LIFETIME.total_seconds()))
    datasets.publish_events(domain.download_event(tenant_id, datasets.get(dataset_id), found, now=now))
    return DownloadLink(url, found.stored_bytes, now + LINK_LIFETIME, found.version)


def runs_by_id(runs: RunTable, run_ids: Sequence[str]) -> list[Run]:
    """Return runs with their inputs and outputs.

    Raises:
        RunsNotFound: some of them do not exist.
    """
    found, missing = list[Run](), list[int]()
    for position, run_id in enumerate(run_ids):
        try:
            found.append(runs.get(run_id))
        except NotFound:
            missing.append(position)
    if missing:
        raise RunsNotFound(missing)
    return found


def add_from_runs(
    store: Store,
    files: DatasetFiles,
    access: TenantAccess,
    dataset_id: str,
    source: ItemSource,
    *,
    now: datetime,
    idempotency_key: IdempotencyKey | None,
) -> DatasetVersion:
    """Publish a version with the items of the latest one and those of runs.

    Raises:
        DatasetTooLarge: the version would exceed its limits.
        StorageFull: the version exceeds the plan's storage.
        DatasetChanged: another request has published a version meanwhile.
    """
    datasets = DatasetTable(store, access.tenant_id)
    dataset = datasets.get(dataset_id)
    counter = _Counter()
    items = _with_runs(_latest_items(store, files, access.tenant_id, dataset), source)
    stored = compress(counter.counted(items))
    version = write_version(files, access.tenant_id, dataset, stored, items=counter.items, size=counter.bytes, now=now)
    after, events = domain.publish_version(access.tenant_id, dataset, version, now=now)
    datasets.publish(after, version, events, storage_gb=access.allowance.storage_gb, idempotency_key=idempotency_key)
    return version


def _latest_items(store: Store, files: DatasetFiles, tenant_id: str, dataset: Dataset) -> Iterator[Item]:
    if dataset.version:
        latest = DatasetVersionTable(store, tenant_id, dataset.dataset_id).get_number(dataset.version)
        for start, end in zip(latest.offsets, latest.offsets[1:], strict=False):
            yield from files.items(tenant_id, latest.content, start=start, end=end)


def _with_runs(before: Iterator[Item], source: ItemSource) -> Iterator[Item]:
    """Yield the items before, then one for each run; a run whose item exists already adds none."""
    ids = ItemIds()
    for item in before:
        ids.add(item.item_id)
        yield item
    for run in source.runs:
        if ids.add(run.run_id):
            output = run.output or {}
            expected = output.get("data", output.get("message")) if source.with_expected else None
            yield Item(run.run_id, run.inputs, expected, {"run_id": run.run_id, **run.metadata})


@dataclass
class _Counter:
    """The number and the size of the items that pass."""

    items: int = 0
    bytes: int = 0

    def counted(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on items within the limits of a version."""
        for item in items:
            self.items += 1
            self.bytes += len(item.to_line()) + 1
            if self.items > MAX_ITEMS or self.bytes > MAX_BYTES:
                raise DatasetTooLarge(MAX_ITEMS, MAX_BYTES)
            yield item
