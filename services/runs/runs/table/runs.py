"""Reading and writing of runs; every write of an attempt is fenced by its number.

A run is read whole or as its state. The state lacks inputs, metadata, turns and output, which may be large and stored
in the bucket, and the calls that are stored beside the run. A write contains only changed attributes, so saving a
state leaves the others as they are.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.runs.errors import LeaseLost, RunNotFound
from services.runs.partitions import SLICE
from services.runs.runs.domain.lifecycle import LEASE
from services.runs.runs.domain.run import Attempt, CallId, Outcome, Run, Status
from services.runs.runs.table.backlog import BacklogTable
from services.runs.runs.table.calls import CallTable
from services.runs.runs.table.items import RunItems
from services.runs.runs.table.listing import RunListing
from services.runs.runs.table.states import RUNS_DUE, TOOLS_DUE, RunStates
from services.runs.runs.table.storage import StoredBytes
from services.runs.runs.table.texts import TextTable
from services.runs.runs.table.tombstones import TOMBSTONES_DUE, TombstoneTable
from shared.errors import AinexusError, DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.observability import logger
from shared.storage.due import DueEntry, DueQueue
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.items import Item, Reader, Value, key_of
from shared.storage.payloads import Payloads
from shared.storage.store import Store, Unchanged
from shared.storage.table import setting
from shared.storage.transaction import ABSENT, Expression, refuse_with
from shared.times import to_text

_PURGE_DELAY = timedelta(minutes=1)
"""When the reaper completes a deletion that was interrupted."""
_MAX_WORKER_LIFETIME = timedelta(minutes=16)
"""The time after which a worker that has lost its run has ended: a minute more than the timeout of its function."""
_SAMPLE_SIZE = 100
"""The number of runs from which the wait in the workers' queue is estimated."""
_SWEPT_TOGETHER = 100
"""The number of runs whose states a sweep reads together."""


class RunTable(RunItems):
    """The runs of one tenant, with their payloads and all their calls."""

    def __init__(self, store: Store, tenant_id: str, payloads: Payloads) -> None:
        super().__init__(store, tenant_id, payloads)
        self.texts = TextTable(store, tenant_id)
        self.calls = CallTable(store, tenant_id)
        self.listing = RunListing(self, self.calls)
        self.backlog = BacklogTable(store, tenant_id)
        self.tombstones = TombstoneTable(store, tenant_id)
        self._states = RunStates(store, tenant_id)
        self._storage = StoredBytes(store, tenant_id)

    def get(self, record_id: str = "", *, known: Run | None = None) -> Run:
        """Return a run.

        Args:
            record_id: the run's id.
            known: the run as it was read before, which is returned if the stored run has the same version.

        Raises:
            RunNotFound: the tenant has no run with this id.
        """
        item = self.store.get(self.key(record_id))
        if item is None:
            raise RunNotFound
        return known if known and item["seq"] == known.seq else self.load(item)

    def load(self, item: Item) -> Run:
        """Return the run in this item, with its payloads from the bucket and all its calls."""
        return self.calls.load(self.decode(item))

    def written(self, run_id: str, item: Item) -> Run:
        """Return the run in an item that a worker returned.

        Raises:
            RunNotFound: the item belongs to another run.
        """
        if (item["tenant_id"], item["run_id"]) != (self.tenant_id, run_id):
            raise RunNotFound
        return self.load(item)

    def states(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the states of runs by id. Missing runs are omitted."""
        return self._states.find_many(list(run_ids))

    def states_of_calls(self, calls: Iterable[CallId]) -> dict[str, Run]:
        """Return the states of the runs of these calls by id, with these calls if they have ended."""
        requested = list(calls)
        return self.calls.load_attempts(self.states({call.run_id for call in requested}), requested)

    def state(self, item: Item) -> Run:
        """Return the state of the run in this item."""
        return self._states.decode(item)

    def create(
        self,
        run: Run,
        events: list[Event[RunEvent]],
        *,
        idempotency_key: IdempotencyKey | None,
        storage_gb: int | None = None,
    ) -> None:
        """Store a new run and its events in one transaction.

        Args:
            run: the run.
            events: the events of its creation.
            idempotency_key: the idempotency record of the request.
            storage_gb: the plan's limit, for a run that stores artifacts.

        Raises:
            AlreadyDone: this request was carried out before.
            StorageFull: the artifacts exceed the plan's limit.
            ObjectsBeingRemoved: an earlier try of this request has left objects that are being removed.
        """
        self._storage.check_fits(events, storage_gb=storage_gb)
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=run.run_id)
        if run.artifacts:
            self.tombstones.withdraw(transaction, run.run_id)
        try:
            self.add(transaction, run)
            self.backlog.update(transaction, run)
            self._storage.count(transaction, events, storage_gb=storage_gb)
            transaction.emit(*events)
            self.store.commit(transaction)
        except (AinexusError, AlreadyDone):
            if run.artifacts:
                self._try_discard(run)
            raise

    def _try_discard(self, run: Run) -> None:
        try:
            self.discard(run, now=run.created_at)
        except DependencyUnavailable:
            logger.warning("objects of a run that was not stored may be left", run_id=run.run_id)

    def acquire_lease(self, run_id: str, *, now: datetime, lease_id: str = "") -> Item | None:
        """Lease a queued run for its next attempt, and record that its call is about to be sent.

        Args:
            run_id: the run.
            now: the time.
            lease_id: unique to this call. By it, a call that was repeated because its answer was lost finds its lease.

        Returns:
            The run's item with the new fencing token, or None if there is no such run in the workers' queue.
        """
        change = Expression(
            "SET #status = :running, #attempt = #attempt + :one, #attempts = list_append(#attempts, :begun), "
            "#seq = #seq + :one, #call_started_at = :now, #started_at = if_not_exists(#started_at, :now), "
            "#due_at = :due_at, #due_pk = :due_pk, #due_sk = :due_sk, #lease_id = :lease_id",
            {
                "lease_id": lease_id,
                "running": Status.RUNNING,
                "one": 1,
                "begun": self.begun_attempt(Attempt(Outcome.RUNNING, leased_at=now)),
                "now": to_text(now),
                "due_at": to_text(now + LEASE),
                **self.place(Status.RUNNING, now + LEASE, run_id),
            },
        )
        # A run that waits for a slot is not due, but an old message may name it.
        queued = Expression("#status = :queued AND attribute_exists(#due_at)", {"queued": Status.QUEUED})
        leased = self.store.update_or_see(self.key(run_id), change, when=queued)
        if not isinstance(leased, Unchanged):
            return leased
        existing = leased.existing or {}
        is_ours = lease_id and (existing.get("status"), existing.get("lease_id")) == (Status.RUNNING, lease_id)
        return existing if is_ours else None

    def extend(self, run: Run, *, now: datetime) -> bool:
        """Extend the lease; return whether the client has requested a cancellation.

        Raises:
            LeaseLost: another attempt has the run.
        """
        item = self.store.update(self.key(run.run_id), setting(self._leased(run, now=now)), when=self.fence(run))
        if item is None:
            raise LeaseLost
        return bool(item.get("cancel_requested"))

    def begin_call(self, run: Run, *, now: datetime) -> None:
        """Record the call that is about to be sent, unless the client has cancelled.

        Raises:
            LeaseLost: another attempt has the run.
            CancelRequested: the call must not be sent.
        """
        if run.open_call is None:
            msg = "there is no call to begin"
            raise ValueError(msg)
        begun = self.codec.values(open_call=run.open_call, call_started_at=now, seq=run.seq)
        key, change = self.key(run.run_id), setting({**begun, **self._leased(run, now=now)})
        if self.store.update(key, change, when=self.fence(run, unless_cancelled=True)) is None:
            raise self.fence_error(run, self.store.get(key))

    def _leased(self, run: Run, *, now: datetime) -> dict[str, Value]:
        """Return the attributes of an extended lease. A quarantined run does not become due by them."""
        due_at = now + LEASE
        return {"due_at": to_text(due_at), "due_sk": self.place(run.status, due_at, run.run_id)["due_sk"]}

    def request_cancel(self, run: Run, *, now: datetime) -> None:
        """Request the worker that executes the run to stop.

        Raises:
            LeaseLost: the run has changed, or the request was made before.
        """
        transaction = self.transaction()
        change = Expression("SET #cancel_requested = :yes, #seq = #seq + :one", {"yes": True, "one": 1})
        lost, unchanged = refuse_with(LeaseLost()), self.fence(run, and_call=True, unless_cancelled=True)
        transaction.update(self.key(run.run_id), change, when=unchanged, otherwise=lost)
        cancellation = self.texts.cancellation(run, run.open_call, now=now) if run.open_call else None
        if cancellation:
            transaction.put(cancellation, when=ABSENT, otherwise=lost)
        self.store.commit(transaction)

    def save(
        self,
        before: Run,
        after: Run,
        events: list[Event[RunEvent]],
        *,
        only_if_still_due: bool = False,
        unless_cancelled: bool = False,
        storage_gb: int | None = None,
    ) -> Item:
        """Store a change of a run and its events in one transaction, if the run is still in the state before.

        Returns:
            The written attributes; removed ones are None.

        Args:
            before: the run as it was read, whole or its state.
            after: the changed run.
            events: the events of the change.
            only_if_still_due: refuse if the lease was extended meanwhile; for the reaper.
            unless_cancelled: refuse if the client has cancelled; for a worker that would continue.
            storage_gb: the plan's limit, for a change that stores artifacts.

        Raises:
            LeaseLost: the run is no longer in the state before.
            CancelRequested: the run is in the state before, but the client has cancelled.
            StorageFull: the artifacts exceed the plan's limit.
        """
        self._storage.check_fits(events, storage_gb=storage_gb)
        transaction, changed = self.transaction(), self.changes(before, after)
        unchanged = self.fence(before, and_due=only_if_still_due, unless_cancelled=unless_cancelled, next_seq=after.seq)
        transaction.update(
            self.key(before.run_id),
            setting(changed),
            when=unchanged,
            otherwise=lambda existing: self.fence_error(before, existing),
        )
        self.calls.move(transaction, before, after)
        self.backlog.update(transaction, after, before=before)
        self._storage.count(transaction, events, storage_gb=storage_gb)
        transaction.emit(*events)
        self.store.commit(transaction)
        return changed

    def publish(self, *events: Event[RunEvent]) -> None:
        """Publish events of a run that does not change."""
        transaction = self.transaction()
        transaction.emit(*events)
        self.store.commit(transaction)

    def address_of_output(self, run: Run, *, lasts_s: int) -> str:
        """Return a link to download the run's output from the bucket, valid for this number of seconds."""
        item = self.store.get(self.key(run.run_id))
        if item is None:
            raise RunNotFound
        return self.payloads.address(self.tenant_id, Reader(item).map("output"), lasts_s=lasts_s)

    def soft_delete(self, run: Run, events: list[Event[RunEvent]], *, now: datetime) -> None:
        """Delete a run's item and write its tombstone. The remaining data is removed by `clear`, now or by the reaper.

        A worker that has lost the run may still write an output to the bucket before its write of the run is refused.
        So the reaper clears the run once more when no such worker is left.

        Raises:
            RunNotFound: another request has deleted it.
        """
        transaction = self.transaction()
        transaction.delete(self.key(run.run_id), when=self.fence(run), otherwise=refuse_with(RunNotFound()))
        due_at, last_due_at = now + _PURGE_DELAY, now + _MAX_WORKER_LIFETIME
        self.tombstones.add(transaction, run.run_id, due_at=due_at, last_due_at=last_due_at)
        self._storage.count(transaction, events)
        transaction.emit(*events)
        self.store.commit(transaction)

    def discard(self, run: Run, *, now: datetime) -> None:
        """Let the reaper delete the objects of a run that was not stored.

        Another request with the same key may store the same run at this moment, so they are not deleted at once.
        """
        self.tombstones.put(run.run_id, due_at=now + _PURGE_DELAY)

    def clear(self, run_id: str) -> None:
        """Remove the texts, calls and objects of a deleted run, then its tombstone; see `soft_delete`.

        If the run exists, only the tombstone is removed. Without a tombstone, nothing is.
        """
        tombstone = self.tombstones.begin_clearing(run_id)
        if tombstone is None:
            return
        if self.store.get(self.key(run_id), only=("PK", "SK")) is None:
            self.texts.delete(run_id)
            self.calls.delete(run_id)
            self.payloads.delete_below(self.tenant_id, self.folder(run_id))
        self.tombstones.end_clearing(tombstone)


class AllRuns:
    """The runs of all tenants, for the reaper and for operators.

    Args:
        store: the slice of every tenant.
        payloads: the payloads of every tenant.
        table: the table of one tenant.
    """

    def __init__(self, store: Store, payloads: Payloads, *, table: type[RunTable] = RunTable) -> None:
        self._store = store
        self._payloads = payloads
        self._table = table
        self.queue = DueQueue(store, RUNS_DUE, RunStates, batch=_SWEPT_TOGETHER)
        self.waiting_for_tools = DueQueue(store, TOOLS_DUE, RunStates, batch=_SWEPT_TOGETHER)
        self.tombstones = DueQueue(store, TOMBSTONES_DUE)

    def of(self, tenant_id: str) -> RunTable:
        """Return the runs of one tenant."""
        return self._table(self._store, tenant_id, self._payloads)

    def queue_wait(self, *, now: datetime) -> timedelta:
        """Return the time that recently leased runs spent in the workers' queue; zero if no run was leased.

        It is the shortest of these times: a longer one may be that of a run whose message was lost.
        """
        ends = {"pk": RUNS_DUE.keys[0], "now": to_text(now), "leased": f"{to_text(now + LEASE)}~"}
        leased = Expression("#due_pk = :pk AND #due_sk BETWEEN :now AND :leased", ends)
        page = self._store.query(leased, index="due", newest_first=True, limit=_SAMPLE_SIZE)
        entries = [DueEntry(key_of(item), str(item["due_pk"]), str(item["due_sk"])) for item in page.items]
        states = map(self.queue.load, self.queue.read_ahead(iter(entries)))
        waits = (_wait_of(state, now=now) for state in states if state)
        return min((wait for wait in waits if wait is not None), default=timedelta())


def _wait_of(run: Run, *, now: datetime) -> timedelta | None:
    """Return the time that a recently leased run spent in the workers' queue; None for any other run."""
    if run.status is not Status.RUNNING or run.published_at is None:
        return None
    leased_at = run.attempts[-1].leased_at
    return leased_at - run.published_at if now - leased_at <= LEASE * 2 else None
