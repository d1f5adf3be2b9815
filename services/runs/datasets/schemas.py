"""Request and response models of datasets."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.runs.datasets.domain import dataset as domain
from services.runs.datasets.domain import items
from services.runs.runs.domain.run import Status
from services.runs.runs.schemas import Moment
from shared.freejson import FreeText, Line
from shared.http.pagination import PageQuery
from shared.http.responses import ListResponse, ResponseBody
from shared.ids import pattern
from shared.schema import DocumentedModel
from shared.times import Rfc3339

Name = Annotated[Line, Field(min_length=1, max_length=200)]
DescriptionText = Annotated[FreeText, Field(max_length=2_000)]
FieldName = Annotated[Line, Field(min_length=1, max_length=200)]
VersionNumber = Annotated[int, Field(ge=1, le=9_999_999)]
MAX_RUNS = 100


class Dataset(DocumentedModel):
    """A dataset with the numbers of its latest version."""

    model_config = ConfigDict(from_attributes=True)

    dataset_id: str
    name: str
    description: str | None
    version: int | None
    """The latest version; null before the first one."""
    items: int
    bytes: int
    """The size of the latest version's items as JSON lines."""
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, dataset: domain.Dataset) -> Self:
        """Return the response body of a dataset."""
        return cls(
            dataset_id=dataset.dataset_id,
            name=dataset.name,
            description=dataset.description,
            version=dataset.version or None,
            items=dataset.items,
            bytes=dataset.bytes,
            created_at=dataset.created_at,
            updated_at=dataset.updated_at,
        )


class DatasetVersion(DocumentedModel):
    """An immutable version of a dataset."""

    model_config = ConfigDict(from_attributes=True)

    dataset_id: str
    version: int
    items: int
    bytes: int
    upload_id: str | None
    """The upload from which it was published; null if runs were added."""
    created_at: Rfc3339


class DatasetItem(DocumentedModel):
    """An input with its expected output."""

    item_id: str
    """Stable across versions: chosen by the client, or a hash of the inputs."""
    inputs: dict[str, Any]
    """The inputs of a run."""
    expected: JsonValue
    metadata: dict[str, Any]

    @classmethod
    def of(cls, item: items.Item) -> Self:
        """Return the response body of an item."""
        return cls(item_id=item.item_id, inputs=dict(item.inputs), expected=item.expected, metadata=dict(item.metadata))


class NewDataset(DocumentedModel):
    """The request to create a dataset."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support questions", "description": "Real questions of May"}]},
    )

    name: Name
    description: DescriptionText | None = None


class DatasetPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of a dataset. Absent fields do not change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support questions, second line"}]},
    )

    name: Name = Field(default_factory=str)
    description: DescriptionText | None = None


class FieldMapping(DocumentedModel):
    """The fields of a line of OpenAI Evals that contain the parts of an item."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: FieldName | None = None
    """The field with a message or a list of messages; `input` by default."""
    expected: FieldName | None = None
    """The field with the expected output; `ideal` or `expected` by default."""
    item_id: FieldName | None = None
    metadata: Annotated[list[FieldName], Field(max_length=50)] = Field(default_factory=list)
    """The fields to keep as metadata."""


class NewUpload(DocumentedModel):
    """The request to upload the items of a new version."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"format": "openai_evals", "mapping": {"input": "question", "expected": "answer"}},
            ]
        },
    )

    format: Literal["jsonl", "csv", "openai_evals"]
    """`jsonl`: `{"input" or "inputs", "expected"?, "metadata"?, "item_id"?}` per line. `csv`: a header row with
    `input`, `expected`, `item_id` and `metadata.<name>`. `openai_evals`: `{"item": {…}}`, read by `mapping`."""
    mapping: FieldMapping | None = None
    """Only for `openai_evals`."""

    @model_validator(mode="after")
    def _mapping_of_evals(self) -> Self:
        if self.mapping and self.format != "openai_evals":
            msg = "mapping belongs to the format openai_evals"
            raise ValueError(msg)
        return self


class UploadError(DocumentedModel):
    """The reason why a line is not an item."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    """From 1; 0 for the file as a whole."""
    message: str


class Upload(DocumentedModel):
    """A file that becomes a version of a dataset, unless a line of it is bad."""

    model_config = ConfigDict(from_attributes=True)

    upload_id: str
    dataset_id: str
    format: str
    status: Literal["waiting", "validating", "published", "rejected"]
    version: int | None
    """The published version."""
    errors: list[UploadError]
    """The first 100 bad lines. If there is one, nothing was published."""
    created_at: Rfc3339
    expires_at: Rfc3339
    """The time until which the upload must begin."""


class UploadTarget(Upload):
    """An upload with the form that sends its file."""

    url: str
    """The address to which the form is sent: `POST`, `multipart/form-data`, with `fields` first and `file` last."""
    fields: dict[str, str]


class RunSelection(DocumentedModel):
    """The runs whose inputs become items: either their ids or a filter."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    run_ids: Annotated[
        list[Annotated[str, Field(pattern=pattern("run"))]], Field(min_length=1, max_length=MAX_RUNS)
    ] = Field(default_factory=list)
    status: Annotated[Status, Field(strict=False)] | None = None
    agent_id: Annotated[str, Field(pattern=pattern("agt"))] | None = None
    project_id: Line | None = None
    start: Annotated[Moment | None, Field(alias="from", strict=False)] = None
    end: Annotated[Moment | None, Field(alias="to", strict=False)] = None
    metadata: Annotated[Line, Field(pattern=r"^[^:]+:", max_length=1_000)] | None = None
    """A key and its value, for example `team:red`."""
    limit: Annotated[int, Field(ge=1, le=MAX_RUNS)] = MAX_RUNS
    """The maximum number of runs that a filter selects, newest first."""

    @property
    def key_and_value(self) -> tuple[str, str] | None:
        """The key and the value of the metadata."""
        if self.metadata is None:
            return None
        key, _, value = self.metadata.partition(":")
        return key, value


class NewItems(DocumentedModel):
    """The request to publish a version with further items."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"from_runs": {"run_ids": ["run_01M82VGJKEZJ1F4SK5FD3YPW7Y"]}, "expected": True}]
        },
    )

    from_runs: RunSelection
    expected: bool = False
    """Whether the output of a run becomes the expected output of its item."""


class VersionQuery(DocumentedModel):
    """The selection of a version."""

    model_config = ConfigDict(extra="forbid")

    version: VersionNumber | None = None
    """The latest version by default."""


class ItemsQuery(PageQuery):
    """The query of a list of items."""

    version: VersionNumber | None = None
    """The latest version by default."""


class Download(DocumentedModel):
    """A link to the items of a version, as JSON lines compressed with gzip."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    version: int
    bytes: int
    expires_at: Rfc3339


class DatasetResponse(ResponseBody):
    """The response with one dataset."""

    dataset: Dataset


class DatasetsResponse(ListResponse):
    """A page of datasets, newest first."""

    datasets: list[Dataset]


class DatasetVersionResponse(ResponseBody):
    """The response with one version."""

    version: DatasetVersion


class DatasetVersionsResponse(ListResponse):
    """A page of versions, newest first."""

    versions: list[DatasetVersion]


class DatasetItemsResponse(ListResponse):
    """A page of items, in the order of their version."""

    items: list[DatasetItem]


class UploadResponse(ResponseBody):
    """The response with one upload."""

    upload: Upload


class UploadTargetResponse(ResponseBody):
    """The response with a new upload and its form."""

    upload: UploadTarget


class DownloadResponse(ResponseBody):
    """The response with a link."""

    download: Download
