"""Tables: the records of one type that one tenant has in a slice.

A table is bound to a tenant when it is made, so no call can name another one. Readers of several tenants are types of
their own: `DueQueue` and the operators' lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Generic, TypeVar

from shared.errors import ChangedMeanwhile, NotFound
from shared.storage.codec import Codec
from shared.storage.items import Item, Key, Value
from shared.storage.listing import newest_first
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, CHANGED, PRESENT, Expression, Refusal, Transaction

T = TypeVar("T")


class TenantRows:
    """The rows of one tenant, for tables whose rows are no records of one type, such as counters.

    Args:
        store: the slice.
        tenant_id: the tenant whose rows they are.
    """

    def __init__(self, store: Store, tenant_id: str) -> None:
        if not tenant_id or "#" in tenant_id:
            msg = f"{tenant_id!r} is no tenant's id"
            raise ValueError(msg)
        self.store = store
        self.tenant_id = tenant_id

    def partition(self, *names: str) -> str:
        """Return the partition key that these names complete; without any, that of the slice's own partition."""
        return self.store.owned.key(self.tenant_id, *names)

    def transaction(self, *, is_step: bool = False) -> Transaction:
        """Return an empty change of this tenant's slice."""
        return Transaction(self.tenant_id, is_step=is_step)

    def items_between(self, pk: str, first: str, last: str) -> Iterator[Item]:
        """Yield the items of a partition from one sort key to another, both included. The read is consistent."""
        values = {"pk": pk, "first": first, "last": last}
        return self.store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :last", values))

    def items_below(self, pk: str, prefix: str = "") -> Iterator[Item]:
        """Yield the items of a partition whose sort keys have a prefix. The read is consistent."""
        condition = "#PK = :pk AND begins_with(#SK, :prefix)" if prefix else "#PK = :pk"
        values = {"pk": pk, "prefix": prefix} if prefix else {"pk": pk}
        return self.store.query_all(Expression(condition, values))


class TenantTable(TenantRows, Generic[T]):
    """The records of one type of one tenant.

    A subclass declares where they are and how they are stored:

        class ProjectTable(TenantTable[Project]):
            prefix, id_field = "PROJECT#", "project_id"
            codec = Codec(Project)
            not_found, changed = ProjectNotFound, ProjectChanged

    Args:
        store: the slice.
        tenant_id: the tenant whose records they are.
        partition: the names that follow the tenant in the partition key; none for the slice's own partition.
    """

    prefix: ClassVar[str]
    """The prefix of the sort keys, before the id."""
    id_field: ClassVar[str] = ""
    """The field that ends the sort key; empty if the tenant has one such record, whose id is empty."""
    revision: ClassVar[str] = "seq"
    """The field that every change increments."""
    codec: Codec[T]
    not_found: ClassVar[type[Exception]] = NotFound
    """The error of a record that does not exist; it takes no arguments."""
    changed: ClassVar[type[Exception]] = ChangedMeanwhile
    """The error of a record that has another revision than the one that was read; it takes no arguments."""

    def __init__(self, store: Store, tenant_id: str, *partition: str) -> None:
        super().__init__(store, tenant_id)
        self.pk = self.partition(*partition)

    @property
    def attributes(self) -> Sequence[str]:
        """The attributes to read of single records, with those of the key; all by default."""
        return ()

    def key(self, record_id: str = "") -> Key:
        """Return the key of a record."""
        return Key(self.pk, self.prefix + record_id)

    def id_of(self, record: T) -> str:
        """Return the id of a record, as it ends the sort key."""
        return str(getattr(record, self.id_field)) if self.id_field else ""

    def id_in(self, sort_key: str) -> str:
        """Return the id at the end of a sort key."""
        return sort_key.removeprefix(self.prefix)

    def indexed(self, record: T) -> Mapping[str, Value]:  # noqa: ARG002 — for subclasses
        """Return the attributes by which indexes find the record; none by default."""
        return {}

    def find(self, record_id: str = "") -> T | None:
        """Return a record, or None if it does not exist."""
        item = self.store.get(self.key(record_id), only=self.attributes)
        return None if item is None else self.decode(item)

    def get(self, record_id: str = "") -> T:
        """Return a record.

        Raises:
            Exception: `not_found`.
        """
        record = self.find(record_id)
        if record is None:
            raise self.not_found
        return record

    def find_many(self, record_ids: Sequence[str]) -> dict[str, T]:
        """Return the records that exist, by their ids."""
        keys = {self.key(record_id): record_id for record_id in record_ids}
        found = self.store.get_many([*keys], only=self.attributes)
        return {keys[key]: self.decode(item) for key, item in found.items()}

    def page(self, *, limit: int, after: str | None) -> tuple[list[T], str | None]:
        """Return a page of records, newest first, and the position of the next page."""
        items, position = newest_first(self.store, pk=self.pk, prefix=self.prefix, limit=limit, after=after)
        return [self.decode(item) for item in items], position

    def all(self) -> Iterator[T]:
        """Yield all records, page by page. The read is consistent."""
        return map(self.decode, self.items_below(self.pk, self.prefix))

    def add(self, to: Transaction, record: T, *, otherwise: Refusal = CHANGED) -> None:
        """Write a record that does not exist yet."""
        to.put(self.item(record), when=ABSENT, otherwise=otherwise)

    def replace(self, to: Transaction, record: T) -> None:
        """Write the next revision of a record. It is refused with `changed` or `not_found`."""
        to.put(self.item(record), when=self.has_revision(self._revision(record) - 1), otherwise=self.refusal)

    def delete(self, to: Transaction, record: T) -> None:
        """Delete a record in the revision that was read. It is refused with `changed` or `not_found`."""
        when = self.has_revision(self._revision(record))
        to.delete(self.key(self.id_of(record)), when=when, otherwise=self.refusal)

    def update(self, record_id: str, change: Expression, *, when: Expression) -> T | None:
        """Update one record without a transaction and without events.

        Returns:
            The record after the update, or None if the condition failed.
        """
        item = self.store.update(self.key(record_id), change, when=when)
        return None if item is None else self.decode(item)

    def setting(self, **values: object) -> Expression:
        """Return an update of some fields; a field that becomes None is removed."""
        return setting(self.codec.values(**values))

    def equal(self, **values: object) -> Expression:
        """Return the condition that the record exists and these fields have these values.

        None and default values are not stored, so a missing attribute has them. Earlier releases stored them, and None
        as NULL.
        """
        conditions, stored = [PRESENT.text], dict[str, Value]()
        for field, value in values.items():
            name = self.codec.attribute(field)
            equal = f"#{name} = :was_{name}"
            stored[f"was_{name}"] = self.codec.values(**{field: value})[name]
            is_default = self.codec.is_default(field, value)
            conditions.append(f"(attribute_not_exists(#{name}) OR {equal})" if is_default else equal)
        return Expression(" AND ".join(conditions), stored)

    def has_revision(self, revision: int) -> Expression:
        """Return the condition that the record has this revision."""
        return self.equal(**{self.revision: revision})

    def refusal(self, existing: Item | None) -> Exception:
        """Return the error of a failed condition on a revision."""
        return self.not_found() if existing is None else self.changed()

    def item(self, record: T) -> dict[str, Value]:
        """Return the item of a record."""
        return {
            **self.key(self.id_of(record)).attributes,
            **self.indexed(record),
            **self.codec.encode(record),
        }

    def decode(self, item: Item) -> T:
        """Return the record of an item."""
        return self.codec.decode(item, **self._given(item)) if self.codec.given else self.codec.decode(item)

    def _given(self, item: Item) -> dict[str, object]:
        """Return the fields that are not stored because the key has them: the tenant and the id."""
        known = {"tenant_id": self.tenant_id, self.id_field: self.id_in(str(item["SK"]))}
        return {name: value for name, value in known.items() if name in self.codec.given}

    def _revision(self, record: T) -> int:
        return int(getattr(record, self.revision))


def adding(numbers: Mapping[str, int], attributes: Mapping[str, Value] | None = None) -> Expression:
    """Return the update that adds these numbers, where a missing one is 0, and gives some attributes these values."""
    return _update(numbers, attributes or {})


def setting(attributes: Mapping[str, Value]) -> Expression:
    """Return the update that gives some attributes these values, and removes those that are None."""
    return _update({}, attributes)


def _update(numbers: Mapping[str, int], attributes: Mapping[str, Value]) -> Expression:
    present = {name: value for name, value in attributes.items() if value is not None}
    absent = tuple(name for name in attributes if name not in present)
    return Expression(_update_text((*numbers,), (*present,), absent), {**numbers, **present})


@lru_cache(maxsize=1_024)
def _update_text(added: Sequence[str], present: Sequence[str], absent: Sequence[str]) -> str:
    parts = [
        "ADD " + ", ".join(f"#{name} :{name}" for name in added) if added else "",
        "SET " + ", ".join(f"#{name} = :{name}" for name in present) if present else "",
        "REMOVE " + ", ".join(f"#{name}" for name in absent) if absent else "",
    ]
    return " ".join(filter(None, parts))
