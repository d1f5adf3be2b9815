"""Where the lines of an export come from: the rows of a slice and the documents of a folder, a page at a time."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError

from shared.storage.items import Item, Value, key_of
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import Expression

PAGE = 100
"""Rows or documents that are read together."""
LEFT_OUT = ("COPY#", "EXPORT#")
"""Rows that tell what another service has, which exports it itself; and how far exports are."""
_PLACES = frozenset({"PK", "SK", "list_pk", "list_sk", "due_pk", "due_sk"})

Line = Mapping[str, Any]


class Documents(Protocol):
    """The calls that are made; boto3's S3 client has them."""

    def list_objects_v2(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """ListObjectsV2."""

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """GetObject."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines, and where the next ones begin."""

    lines: Sequence[Line]
    resume_after: Item | None
    """None: nothing comes after them here."""


@dataclass(frozen=True, slots=True)
class Source:
    """One partition, list or folder."""

    name: str
    read: Callable[[Item | None], Page]
    weight: int = 1
    """How long one line takes, in rows."""


def rows_of(store: Store, traces: Traces, tenant_id: str, now: datetime) -> Iterator[Source]:
    """The rows of a tenant, each once.

    Args:
        store: the slice.
        traces: where the rows are.
        tenant_id: whose they are.
        now: the time.
    """
    owned = store.owned
    bare = [owned.tenant_key(tenant_id)] if owned.holds_tenant else []
    for partition in (*bare, owned.key(tenant_id), *traces.partitions(tenant_id, now)):
        yield Source(partition, _reader(store, tenant_id, partition, index=None))
    for listed in traces.lists:
        pk = owned.key(tenant_id, listed)
        yield Source(f"list {pk}", _reader(store, tenant_id, pk, index="list"))


def documents_of(client: Documents, bucket: str, tenant_id: str, folder: str) -> Source:
    """The documents below one folder of a tenant, as they are now."""
    below = f"tenants/{tenant_id}/"

    def read(resume_after: Item | None) -> Page:
        start = {"StartAfter": str(resume_after["key"])} if resume_after else {}
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"{below}{folder}/", MaxKeys=PAGE, **start)
        keys = [str(entry["Key"]) for entry in found.get("Contents", ())]
        lines = [line for key in keys for line in _lines_of(client, bucket, key, key.removeprefix(below))]
        return Page(lines, {"key": keys[-1]} if keys and found.get("IsTruncated") else None)

    return Source(f"documents {folder}", read, weight=10)


def _reader(store: Store, tenant_id: str, pk: str, *, index: Literal["list"] | None) -> Callable[[Item | None], Page]:
    attribute = "list_pk" if index else "PK"
    condition = Expression(f"#{attribute} = :pk", {"pk": pk})

    def read(resume_after: Item | None) -> Page:
        page = store.query(condition, index=index, limit=PAGE, resume_after=resume_after)
        items: Sequence[Item] = page.items
        if index:
            # The index holds keys only.
            keys = [key_of(item) for item in items]
            found = store.get_many(keys)
            items = [found[key] for key in keys if key in found]
        own = store.owned.key(tenant_id)
        lines = [_line(item, own) for item in items if not str(item["SK"]).startswith(LEFT_OUT)]
        return Page(lines, page.resume_after)

    return read


def _line(item: Item, own: str) -> Line:
    content: dict[str, Value] = {name: value for name, value in item.items() if name not in _PLACES}
    return {"key": [str(item["PK"]).removeprefix(own).removeprefix("#"), item["SK"]], "item": content}


def _lines_of(client: Documents, bucket: str, key: str, name: str) -> Iterator[Line]:
    """A document as a line; an archive of records as one for each."""
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        # It was deleted since it was listed.
        if error.response.get("Error", {}).get("Code") == "NoSuchKey":
            return
        raise
    if key.endswith(".jsonl.gz"):
        yield from ({"object": name, "record": json.loads(line)} for line in gzip.decompress(body).splitlines())
        return
    try:
        yield {"object": name, "document": json.loads(body)}
    except (ValueError, RecursionError):
        yield {"object": name, "base64": base64.b64encode(body).decode()}
