"""Tables bound to one tenant."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.declaration import Slice, Table
from shared.errors import ChangedMeanwhile, Conflict, NotFound
from shared.storage.codec import Codec
from shared.storage.due import DueIndex, DueQueue
from shared.storage.items import Key, Value
from shared.storage.retry import MAX_ATTEMPTS, retry_on_conflict
from shared.storage.store import Store
from shared.storage.table import TenantRows, TenantTable, adding
from shared.storage.transaction import PRESENT, Expression
from tests.dynamodb.memory import MemoryDynamoDB

SLICE = Slice("NOTES", Table.ENTITIES)
NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Note:
    note_id: str
    text: str
    seq: int = 0
    reviewed_at: datetime | None = None
    tenant_id: str = ""


class NoteMissing(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such note.")


class NoteTable(TenantTable[Note]):
    prefix, id_field = "NOTE#", "note_id"
    codec = Codec(Note, names={"text": "body"}, given=("note_id", "tenant_id"))
    not_found = NoteMissing
    due = DueIndex(SLICE, "REVIEW", shards=4)

    def indexed(self, record: Note) -> Mapping[str, Value]:
        return self.due.place(NOW, self.tenant_id, record.note_id)


@dataclass(frozen=True, slots=True)
class Settings:
    color: str


class SettingsTable(TenantTable[Settings]):
    prefix = "SETTINGS"
    codec = Codec(Settings)


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


def add(store: Store, tenant_id: str, note: Note) -> Note:
    notes = NoteTable(store, tenant_id)
    transaction = notes.transaction()
    notes.add(transaction, note)
    store.commit(transaction)
    return notes.get(note.note_id)


def replace_note(store: Store, note: Note) -> None:
    notes = NoteTable(store, note.tenant_id)
    transaction = notes.transaction()
    notes.replace(transaction, note)
    store.commit(transaction)


class TestReads:
    def test_return_the_record_with_what_its_key_says(self, store: Store) -> None:
        assert add(store, "acme", Note("n1", "hello")) == Note("n1", "hello", tenant_id="acme")

    def test_never_return_a_record_of_another_tenant(self, store: Store) -> None:
        add(store, "acme", Note("n1", "hello"))
        other = NoteTable(store, "acme2")
        assert other.find("n1") is None
        assert other.find_many(["n1"]) == {}
        assert other.page(limit=10, after=None) == ([], None)
        assert list(other.all()) == []

    @pytest.mark.parametrize("tenant_id", ["", "acme#NOTES"])
    def test_refuse_a_tenant_whose_name_could_be_another_key(self, store: Store, tenant_id: str) -> None:
        with pytest.raises(ValueError, match="tenant"):
            NoteTable(store, tenant_id)

    def test_raise_the_declared_error(self, store: Store) -> None:
        with pytest.raises(NoteMissing):
            NoteTable(store, "acme").get("n1")

    def test_page_by_page_newest_first(self, store: Store) -> None:
        for number in range(3):
            add(store, "acme", Note(f"n{number}", "x"))
        notes = NoteTable(store, "acme")
        first, position = notes.page(limit=2, after=None)
        rest, end = notes.page(limit=2, after=position)
        assert ([note.note_id for note in first + rest], end) == (["n2", "n1", "n0"], None)
        assert notes.find_many(["n0", "n9", "n2"]).keys() == {"n0", "n2"}

    def test_find_the_only_record_of_a_tenant(self, store: Store) -> None:
        settings = SettingsTable(store, "acme")
        transaction = settings.transaction()
        settings.add(transaction, Settings("red"))
        store.commit(transaction)
        assert (settings.find(), settings.key()) == (Settings("red"), Key("TENANT#acme#NOTES", "SETTINGS"))

    def test_return_the_id_in_a_sort_key(self, store: Store) -> None:
        notes = NoteTable(store, "acme")
        assert notes.id_in(notes.key("n1").sk) == "n1"


class TestRows:
    def test_of_a_partition_are_read_in_a_range_or_below_a_prefix(self, store: Store) -> None:
        rows = TenantRows(store, "acme")
        pk, transaction = rows.partition("DAYS"), rows.transaction()
        for name in ("a#1", "a#2", "b#1"):
            transaction.put(Key(pk, name).attributes)
        store.commit(transaction)
        assert [item["SK"] for item in rows.items_between(pk, "a#2", "b#1")] == ["a#2", "b#1"]
        assert [item["SK"] for item in rows.items_below(pk, "a#")] == ["a#1", "a#2"]
        assert len(list(rows.items_below(pk))) == 3
        assert list(TenantRows(store, "other").items_below(rows.partition("NIGHTS"))) == []


class TestWrites:
    def test_second_record_of_the_same_id_is_refused(self, store: Store) -> None:
        add(store, "acme", Note("n1", "hello"))
        with pytest.raises(Conflict):
            add(store, "acme", Note("n1", "again"))

    def test_replace_only_the_preceding_revision(self, store: Store) -> None:
        note = add(store, "acme", Note("n1", "hello"))
        replace_note(store, replace(note, text="changed", seq=1))
        with pytest.raises(ChangedMeanwhile):
            replace_note(store, replace(note, text="lost", seq=1))
        assert NoteTable(store, "acme").get("n1").text == "changed"

    def test_delete_only_the_revision_that_was_read(self, store: Store) -> None:
        note = add(store, "acme", Note("n1", "hello"))
        notes = NoteTable(store, "acme")
        for stale, error in [(replace(note, seq=1), ChangedMeanwhile), (note, None), (note, NoteMissing)]:
            transaction = notes.transaction()
            notes.delete(transaction, stale)
            if error:
                with pytest.raises(error):
                    store.commit(transaction)
            else:
                store.commit(transaction)

    def test_update_fields_by_their_names(self, store: Store) -> None:
        add(store, "acme", Note("n1", "hello", reviewed_at=NOW))
        notes = NoteTable(store, "acme")
        changed = notes.update("n1", notes.setting(text="new", reviewed_at=None), when=notes.equal(seq=0, text="hello"))
        assert changed == Note("n1", "new", tenant_id="acme")
        item = store.get(notes.key("n1"))
        assert item is not None
        assert (item["body"], "reviewed_at" in item) == ("new", False)
        assert notes.update("n1", notes.setting(text="no"), when=notes.equal(text="hello", seq=0)) is None

    @pytest.mark.parametrize("written", ["REMOVE #reviewed_at", "SET #reviewed_at = :written"])
    def test_none_equals_a_missing_attribute_and_null(self, store: Store, written: str) -> None:
        add(store, "acme", Note("n1", "hello", reviewed_at=NOW))
        notes = NoteTable(store, "acme")
        assert notes.update("n1", notes.setting(text="no"), when=notes.equal(reviewed_at=None)) is None
        values = {"written": None} if ":written" in written else {}
        store.update(notes.key("n1"), Expression(written, values), when=PRESENT)
        assert notes.update("n1", notes.setting(text="new"), when=notes.equal(reviewed_at=None)) is not None

    def test_add_to_numbers_and_set_attributes(self) -> None:
        change = adding({"count": 2}, {"name": "x", "old": None})
        assert change.text == "ADD #count :count SET #name = :name REMOVE #old"
        assert change.values == {"count": 2, "name": "x"}
        assert adding({"count": 1}).text == "ADD #count :count"


class TestRetry:
    def test_tries_again_until_the_record_is_unchanged(self) -> None:
        failures = iter([ChangedMeanwhile(), ChangedMeanwhile()])

        def attempt() -> str:
            for failure in failures:
                raise failure
            return "saved"

        assert retry_on_conflict(attempt) == "saved"

    def test_raises_the_last_error(self) -> None:
        attempts = list[int]()

        def attempt() -> None:
            attempts.append(1)
            raise ChangedMeanwhile

        with pytest.raises(ChangedMeanwhile):
            retry_on_conflict(attempt)
        assert len(attempts) == MAX_ATTEMPTS

    def test_does_not_repeat_other_errors(self) -> None:
        attempts = list[int]()

        def attempt() -> None:
            attempts.append(1)
            raise NoteMissing

        with pytest.raises(NoteMissing):
            retry_on_conflict(attempt)
        assert attempts == [1]


class TestDueQueue:
    def test_finds_the_records_of_all_shards_the_longest_due_first(self, store: Store) -> None:
        index = NoteTable.due
        for minute in range(20):
            transaction = NoteTable(store, f"tenant-{minute}").transaction()
            key = Key(SLICE.key(f"tenant-{minute}"), "NOTE#n")
            transaction.put(
                {**key.attributes, "body": "x", **index.place(NOW + timedelta(minutes=minute), f"tenant-{minute}")}
            )
            store.commit(transaction)
        queue = DueQueue(store, index, NoteTable)
        entries = list(queue.entries(now=NOW + timedelta(minutes=30)))
        assert [entry.tenant_id for entry in entries] == [f"tenant-{minute}" for minute in range(20)]
        assert {entry.due_pk for entry in entries} == {*index.keys}
        assert {entry.kind for entry in entries} == {"REVIEW"}

    def test_first_shard_has_the_key_of_a_queue_without_shards(self) -> None:
        assert DueIndex(SLICE, "REVIEW").keys == ("DUE#NOTES#REVIEW",)
        assert DueIndex(SLICE, "REVIEW", shards=2).keys == ("DUE#NOTES#REVIEW", "DUE#NOTES#REVIEW#1")

    def test_loads_the_record_of_an_entry(self, store: Store) -> None:
        note = add(store, "acme", Note("n1", "hello"))
        queue = DueQueue(store, NoteTable.due, NoteTable)
        [entry] = queue.entries(now=NOW)
        assert queue.load(entry) == note

    def test_loads_nothing_of_a_record_that_was_removed(self, store: Store) -> None:
        note = add(store, "acme", Note("n1", "hello"))
        queue = DueQueue(store, NoteTable.due, NoteTable)
        [entry] = queue.entries(now=NOW)
        notes = NoteTable(store, "acme")
        transaction = notes.transaction()
        notes.delete(transaction, note)
        store.commit(transaction)
        assert queue.load(entry) is None
