"""Sources of an export's lines: the rows of a slice and the documents of a folder, read page by page."""

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Protocol

from botocore.exceptions import ClientError

from shared.freejson import encode
from shared.storage.items import Item, Key, Value, key_of
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression

PAGE_ROWS = 100
"""The maximum number of rows or documents of a page."""
PAGE_BYTES = 4 * 1024 * 1024
"""The size of the lines of a page. It ends with the row or document that reaches this size."""
_ROWS_PER_READ = 10
"""The number of listed rows that are read together. Each can have 400 KB."""
EXCLUDED_PREFIXES = ("COPY#", "EXPORT#")
"""Sort key prefixes of rows that are not exported: copies, whose owner exports the original, and export progress."""
_LIST_KEY = ("PK", "SK", "list_pk", "list_sk")
"""The key attributes of an entry in the `list` index."""
_KEY_ATTRIBUTES = frozenset({*_LIST_KEY, "due_pk", "due_sk"})

Line = bytes
"""JSON without a newline."""


class ReadableS3(Protocol):
    """The required methods of boto3's S3 client."""

    def list_objects_v2(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call ListObjectsV2."""

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call GetObject."""


@dataclass(frozen=True, slots=True)
class LinePage:
    """A page of lines, and the key after which the next page begins."""

    lines: Sequence[Line]
    resume_after: Item | None
    """None after the last page of the source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A partition, a list or a folder."""

    name: str
    read: Callable[[Item | None], LinePage]
    weight: int = 1
    """The duration of reading one line, as a multiple of that of a row."""


def rows_of(store: Store, partitions: TenantPartitions, tenant_id: str, now: datetime) -> Iterator[Source]:
    """Return the sources of a tenant's rows. Each row is in exactly one source.

    Args:
        store: the slice.
        partitions: the partitions of the tenant's rows.
        tenant_id: the tenant.
        now: the time.
    """
    owned = store.owned
    bare = [owned.tenant_key(tenant_id)] if owned.holds_tenant else []
    for partition in (*bare, owned.key(tenant_id), *partitions.partitions(tenant_id, now)):
        yield Source(partition, _partition(store, tenant_id, partition))
    for listed in partitions.lists:
        pk = owned.key(tenant_id, listed)
        yield Source(f"list {pk}", _list(store, tenant_id, pk, beside=partitions.adjacent))


def documents_of(client: ReadableS3, bucket: str, tenant_id: str, folder: str) -> Source:
    """Return the source of a tenant's documents in a folder."""
    below = f"tenants/{tenant_id}/"

    def read(resume_after: Item | None) -> LinePage:
        start = {"StartAfter": str(resume_after["key"])} if resume_after else {}
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"{below}{folder}/", MaxKeys=PAGE_ROWS, **start)
        keys = [str(entry["Key"]) for entry in found.get("Contents", ())]
        page = _Growing()
        for key in keys:
            if page.is_full:
                return LinePage(page.lines, page.place)
            page.add(map(encode, _records_of(client, bucket, key, key.removeprefix(below))), {"key": key})
        return LinePage(page.lines, page.place if found.get("IsTruncated") else None)

    return Source(f"documents {folder}", read, weight=10)


def _partition(store: Store, tenant_id: str, pk: str) -> Callable[[Item | None], LinePage]:
    condition = Expression("#PK = :pk", {"pk": pk})

    def read(resume_after: Item | None) -> LinePage:
        page = store.query(condition, limit=PAGE_ROWS, resume_after=resume_after)
        return LinePage(_lines(page.items, store.owned.key(tenant_id)), page.resume_after)

    return read


def _list(
    store: Store, tenant_id: str, pk: str, *, beside: Callable[[Item], Iterable[Key]]
) -> Callable[[Item | None], LinePage]:
    """Return a reader of the rows in a list, each followed by the rows that belong to it."""
    condition, own = Expression("#list_pk = :pk", {"pk": pk}), store.owned.key(tenant_id)

    def read(resume_after: Item | None) -> LinePage:
        listed = store.query(condition, index="list", limit=PAGE_ROWS, resume_after=resume_after)
        page = _Growing()
        for place, found in _rows_at(store, listed.items):
            if page.is_full:
                return LinePage(page.lines, page.place)
            page.add(_lines([found, *store.get_many(list(beside(found))).values()], own), place)
        return LinePage(page.lines, listed.resume_after)

    return read


def _rows_at(store: Store, listed: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """Return the rows of these entries of a list, in batches, each with the index key of its entry."""
    for start in range(0, len(listed), _ROWS_PER_READ):
        some = {key_of(entry): entry for entry in listed[start : start + _ROWS_PER_READ]}
        found = store.get_many(list(some))
        for key, entry in some.items():
            if key in found:
                yield {name: entry[name] for name in _LIST_KEY}, found[key]


class _Growing:
    """A page to which lines are added until it is full."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.place: Item | None = None
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return self._bytes >= PAGE_BYTES

    def add(self, lines: Iterable[Line], place: Item) -> None:
        """Add the lines of the row or document with this key."""
        for line in lines:
            self.lines.append(line)
            self._bytes += len(line)
        self.place = place


def _lines(items: Iterable[Item], own: str) -> list[Line]:
    return [encode(_content(item, own)) for item in items if not str(item["SK"]).startswith(EXCLUDED_PREFIXES)]


def _content(item: Item, own: str) -> Mapping[str, object]:
    content: dict[str, Value] = {name: value for name, value in item.items() if name not in _KEY_ATTRIBUTES}
    return {"key": [str(item["PK"]).removeprefix(own).removeprefix("#"), item["SK"]], "item": content}


def _records_of(client: ReadableS3, bucket: str, key: str, name: str) -> Iterator[Mapping[str, object]]:
    """Return a document as one record, or the records of an archive."""
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        # The object was deleted after it was listed.
        if error.response.get("Error", {}).get("Code") == "NoSuchKey":
            return
        raise
    if key.endswith(".jsonl.gz"):
        with gzip.open(BytesIO(body)) as archive:
            yield from ({"object": name, "record": json.loads(line)} for line in archive)
        return
    try:
        yield {"object": name, "document": json.loads(body)}
    except (ValueError, RecursionError):
        yield {"object": name, "base64": base64.b64encode(body).decode()}
