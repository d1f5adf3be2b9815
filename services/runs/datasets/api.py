"""HTTP API of datasets, their versions, items and uploads."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.runs import wiring
from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain.items import Item
from services.runs.datasets.operations import datasets as operations
from services.runs.datasets.operations import items as item_operations
from services.runs.datasets.operations import uploads as upload_operations
from services.runs.datasets.schemas import (
    Dataset,
    DatasetItem,
    DatasetItemsResponse,
    DatasetPatch,
    DatasetResponse,
    DatasetsResponse,
    DatasetVersion,
    DatasetVersionResponse,
    DatasetVersionsResponse,
    Download,
    DownloadResponse,
    FieldMapping,
    ItemsQuery,
    NewDataset,
    NewItems,
    NewUpload,
    RunSelection,
    Upload,
    UploadResponse,
    UploadTarget,
    UploadTargetResponse,
    VersionQuery,
)
from services.runs.datasets.table import DatasetTable, DatasetVersionTable, UploadTable
from services.runs.errors import BadRange
from services.runs.runs.domain.run import Run
from services.runs.runs.schemas import bytes_of
from services.runs.runs.table.listing import RunFilter
from shared.http.call import Caller, CurrentCall, KnownTenant
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import new_id, pattern
from shared.storage.listing import MAX_PAGE_BYTES
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role

router = Router()

_DATASETS = "/v1/tenants/{tenant_id}/datasets"
_DATASET = f"{_DATASETS}/{{dataset_id}}"
_VERSIONS = f"{_DATASET}/versions"
_ITEMS = f"{_DATASET}/items"
_UPLOAD = f"{_DATASET}/uploads/{{upload_id}}"


@router.route("GET", _DATASETS, min_role=Role.ANALYST)
def list_datasets(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[DatasetsResponse]:
    """List datasets, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "datasets", form=pattern("dst"))
    found, position = _datasets(caller).page(limit=query.limit, after=after)
    return ok(
        DatasetsResponse(
            datasets=[Dataset.of(dataset) for dataset in found],
            pagination=page_after(position, caller.tenant_id, "datasets"),
        )
    )


def _replay_created(caller: TenantContext, dataset_id: str) -> Response[DatasetResponse]:
    return _created_response(caller, _datasets(caller).get(dataset_id))


@router.route("POST", _DATASETS, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, replay=_replay_created)
def create_dataset(caller: Caller, call: CurrentCall, body: Annotated[NewDataset, Body()]) -> Response[DatasetResponse]:
    """Create a dataset. Its first version is published from an upload, or from runs."""
    dataset = operations.create_dataset(
        wiring.tenant_store(),
        caller.tenant_id,
        dataset_id=new_id("dst", call.now),
        name=body.name,
        description=body.description,
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, dataset)


@router.route("GET", _DATASET, min_role=Role.ANALYST)
def get_dataset(caller: Caller, dataset_id: str) -> Response[DatasetResponse]:
    """Get a dataset."""
    return _response(_datasets(caller).get(dataset_id))


@router.route("PATCH", _DATASET, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS)
@router.route("PUT", _DATASET, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, documented=False)
def update_dataset(
    caller: Caller, call: CurrentCall, dataset_id: str, body: Annotated[DatasetPatch, Body()]
) -> Response[DatasetResponse]:
    """Change the name or the description of a dataset. Its versions are immutable."""
    patch = operations.DatasetUpdate(
        name=body.name or None,
        description=body.description,
        clears_description="description" in body.model_fields_set and body.description is None,
    )
    store = wiring.tenant_store()
    return _response(
        operations.change_dataset(store, caller.tenant_id, dataset_id, patch, now=call.now, if_match=call.if_match)
    )


@router.route("DELETE", _DATASET, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS)
def delete_dataset(caller: Caller, call: CurrentCall, dataset_id: str) -> Response[None]:
    """Delete a dataset with all its versions."""
    store, files = wiring.tenant_store(), wiring.tenant_datasets()
    operations.delete_dataset(store, files, caller.tenant_id, dataset_id, now=call.now, if_match=call.if_match)
    return no_content()


@router.route("GET", _VERSIONS, min_role=Role.ANALYST)
def list_dataset_versions(
    caller: Caller, dataset_id: str, query: Annotated[PageQuery, Query()]
) -> Response[DatasetVersionsResponse]:
    """List the versions of a dataset, newest first."""
    scope = (caller.tenant_id, "dataset-versions", dataset_id)
    _datasets(caller).get(dataset_id)
    after = cursor_of(query.token, *scope, form="[0-9]{7}")
    versions = DatasetVersionTable(wiring.tenant_store(), caller.tenant_id, dataset_id)
    found, position = versions.page(limit=query.limit, after=after)
    return ok(
        DatasetVersionsResponse(
            versions=[DatasetVersion.model_validate(version) for version in found],
            pagination=page_after(position, *scope),
        )
    )


@router.route("GET", _ITEMS, min_role=Role.ANALYST)
def list_dataset_items(
    caller: Caller, dataset_id: str, query: Annotated[ItemsQuery, Query()]
) -> Response[DatasetItemsResponse]:
    """List the items of a version in their order. A page has at most 2 MB."""
    scope = (caller.tenant_id, "dataset-items", dataset_id, str(query.version))
    cursor = cursor_of(query.token, *scope, form="[0-9]{1,7}:[0-9]{1,5}") or f"{query.version or 0}:0"
    number, first = map(int, cursor.split(":"))
    version = item_operations.find_version(wiring.tenant_store(), caller.tenant_id, dataset_id, number or None)
    found = item_operations.read_items(
        wiring.tenant_datasets(), caller.tenant_id, version, first=first, count=query.limit
    )
    shown = _within_a_page(found)
    following = first + len(shown)
    position = f"{version.version}:{following}" if following < version.items else None
    return ok(
        DatasetItemsResponse(items=[DatasetItem.of(item) for item in shown], pagination=page_after(position, *scope))
    )


def _within_a_page(items: list[Item]) -> list[Item]:
    """Return the first items that a response can contain, at least one."""
    shown, size = list[Item](), 0
    for item in items:
        size += len(item.to_line())
        if shown and size > MAX_PAGE_BYTES:
            return shown
        shown.append(item)
    return shown


def _replay_published(caller: TenantContext, subject: str) -> Response[DatasetVersionResponse]:
    dataset_id, _, number = subject.partition(":")
    versions = DatasetVersionTable(wiring.tenant_store(), caller.tenant_id, dataset_id)
    return _published_response(caller, versions.get_number(int(number)))


@router.route("POST", _ITEMS, min_role=Role.DEVELOPER, feature=Feature.EXPERIMENTS, replay=_replay_published)
def add_dataset_items(
    caller: Caller, access: KnownTenant, call: CurrentCall, dataset_id: str, body: Annotated[NewItems, Body()]
) -> Response[DatasetVersionResponse]:
    """Publish a version with the items of the latest one and the inputs of real runs.

    The id of such an item is the id of its run, so a run that is an item already adds none.
    """
    version = item_operations.add_from_runs(
        wiring.tenant_store(),
        wiring.tenant_datasets(),
        access,
        dataset_id,
        item_operations.ItemSource(_selected_runs(caller, body.from_runs), with_expected=body.expected),
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _published_response(caller, version)


def _selected_runs(caller: TenantContext, selection: RunSelection) -> list[Run]:
    runs, run_ids = wiring.tenant_runs(caller.tenant_id), selection.run_ids
    if not run_ids:
        if selection.start and selection.end and selection.start >= selection.end:
            raise BadRange
        run_filter = RunFilter(
            selection.status,
            selection.agent_id,
            selection.project_id,
            selection.start,
            selection.end,
            selection.key_and_value,
        )
        listed, _ = runs.listing.page(run_filter, limit=selection.limit, after=None, bytes_of=bytes_of)
        run_ids = [run.run_id for run in listed]
    return item_operations.runs_by_id(runs, run_ids)


@router.route("GET", f"{_DATASET}/download", min_role=Role.ANALYST)
def download_dataset(
    caller: Caller, call: CurrentCall, dataset_id: str, query: Annotated[VersionQuery, Query()]
) -> Response[DownloadResponse]:
    """Return a link to the items of a version, valid for five minutes. The file counts as egress."""
    link = item_operations.link_of(
        wiring.tenant_store(), wiring.tenant_datasets(), caller.tenant_id, dataset_id, query.version, now=call.now
    )
    return ok(DownloadResponse(download=Download.model_validate(link)))


def _replay_requested(caller: TenantContext, subject: str) -> Response[UploadTargetResponse]:
    dataset_id, _, upload_id = subject.partition(":")
    return _target_response(caller, UploadTable(wiring.tenant_store(), caller.tenant_id, dataset_id).get(upload_id))


@router.route(
    "POST",
    f"{_DATASET}/upload",
    min_role=Role.DEVELOPER,
    feature=Feature.EXPERIMENTS,
    replay=_replay_requested,
)
def request_dataset_upload(
    caller: Caller, access: KnownTenant, call: CurrentCall, dataset_id: str, body: Annotated[NewUpload, Body()]
) -> Response[UploadTargetResponse]:
    """Return a form with which the file of a new version is uploaded, at most 10,000 items and 50 MB.

    When the file has arrived, it is validated. If every line is an item, it becomes the next version. Otherwise the
    upload is rejected with its first 100 bad lines, and nothing is published.
    """
    upload = upload_operations.request_upload(
        wiring.tenant_store(),
        access,
        dataset_id,
        upload_id=new_id("upl", call.now),
        upload_format=domain.UploadFormat(body.format),
        mapping=_mapping(body.mapping),
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _target_response(caller, upload)


def _mapping(mapping: FieldMapping | None) -> domain.FieldMapping:
    given = mapping or FieldMapping()
    return domain.FieldMapping(given.input, given.expected, given.item_id, tuple(given.metadata))


@router.route("GET", _UPLOAD, min_role=Role.ANALYST)
def get_dataset_upload(caller: Caller, call: CurrentCall, dataset_id: str, upload_id: str) -> Response[UploadResponse]:
    """Get the state of an upload. A file that has just arrived is validated at once."""
    upload = upload_operations.check_upload(
        wiring.tenant_store(), wiring.tenant_datasets(), caller.tenant_id, dataset_id, upload_id, now=call.now
    )
    return ok(UploadResponse(upload=Upload.model_validate(upload)))


def _datasets(caller: TenantContext) -> DatasetTable:
    return DatasetTable(wiring.tenant_store(), caller.tenant_id)


def _response(dataset: domain.Dataset) -> Response[DatasetResponse]:
    return ok(DatasetResponse(dataset=Dataset.of(dataset)), etag=dataset.seq)


def _created_response(caller: TenantContext, dataset: domain.Dataset) -> Response[DatasetResponse]:
    location = _DATASET.format(tenant_id=caller.tenant_id, dataset_id=dataset.dataset_id)
    return created(DatasetResponse(dataset=Dataset.of(dataset)), location=location, etag=dataset.seq)


def _published_response(caller: TenantContext, version: domain.DatasetVersion) -> Response[DatasetVersionResponse]:
    path = _ITEMS.format(tenant_id=caller.tenant_id, dataset_id=version.dataset_id)
    body = DatasetVersionResponse(version=DatasetVersion.model_validate(version))
    return created(body, location=f"{path}?version={version.version}")


def _target_response(caller: TenantContext, upload: domain.Upload) -> Response[UploadTargetResponse]:
    form = upload_operations.form_of(wiring.tenant_datasets(), caller.tenant_id, upload)
    shown = Upload.model_validate(upload).model_dump()
    location = _UPLOAD.format(tenant_id=caller.tenant_id, dataset_id=upload.dataset_id, upload_id=upload.upload_id)
    target = UploadTarget.model_validate({**shown, "url": form.url, "fields": form.fields})
    return created(UploadTargetResponse(upload=target), location=location)
