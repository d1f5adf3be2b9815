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
from services.runs.runs.table.backlog import BacklogTable, backlog_item, backlog_key
from services.runs.runs.table.calls import CallTable, moved_items
from services.runs.runs.table.changes import STATE, changes, fence, fence_error, state_from_item, update_expression
from services.runs.runs.table.items import (
    DUE,
    due_sort_key,
    folder_of,
    run_from_item,
    run_key,
    run_to_item,
    tombstone_item,
)
from services.runs.runs.table.listing import RunListing
from services.runs.runs.table.parts import attempt_to_item, open_call_to_item
from services.runs.runs.table.storage import check_fits, count_artifacts
from services.runs.runs.table.texts import TextTable
from services.runs.runs.table.tombstones import begin_clearing, end_clearing, put_tombstone, withdraw_tombstone
from shared.errors import AinexusError, DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.observability import logger
from shared.storage.due import DueIndex, DueQueue
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.payloads import Payloads
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.times import to_text

_PURGE_DELAY = timedelta(minutes=1)
"""When the reaper completes a deletion that was interrupted."""
_MAX_WORKER_LIFETIME = timedelta(minutes=16)
"""The time after which a worker that has lost its run has ended: a minute more than the timeout of its function."""
_SAMPLE_SIZE = 100
"""The number of runs from which the wait in the workers' queue is estimated."""


class RunTable:
    """The runs of one slice, with their payloads."""

    def __init__(self, store: Store, payloads: Payloads) -> None:
        self._store = store
        self._payloads = payloads
        self.texts = TextTable(store)
        self.calls = CallTable(store)
        self.listing = RunListing(store, payloads, self.calls)
        self.backlog = BacklogTable(store)
        self.queue = DueQueue(store, DueIndex(SLICE, "RUN"))
        self.waiting_for_tools = DueQueue(store, DueIndex(SLICE, "TOOLS"))
        self.tombstones = DueQueue(store, DueIndex(SLICE, "BURIED"))

    def get(self, tenant_id: str, run_id: str, *, known: Run | None = None) -> Run:
        """Return a run.

        Args:
            tenant_id: the tenant.
            run_id: the run's id.
            known: the run as it was read before, which is returned if the stored run has the same version.

        Raises:
            RunNotFound: the tenant has no run with this id.
        """
        item = self._store.get(run_key(tenant_id, run_id))
        if item is None:
            raise RunNotFound
        return known if known and item["seq"] == known.seq else self.load(item)

    def load(self, item: Item) -> Run:
        """Return the run in this item, with its payloads from the bucket and all its calls."""
        return self.calls.load(run_from_item(item, self._payloads))

    def written(self, tenant_id: str, run_id: str, item: Item) -> Run:
        """Return the run in an item that a worker returned.

        Raises:
            RunNotFound: the item belongs to another run.
        """
        if (item["tenant_id"], item["run_id"]) != (tenant_id, run_id):
            raise RunNotFound
        return self.load(item)

    def states(self, tenant_id: str, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the states of runs by id. Missing runs are omitted."""
        items = self._store.get_many([run_key(tenant_id, run_id) for run_id in run_ids], only=STATE)
        return {state.run_id: state for state in map(self.state, items.values())}

    def states_of_calls(self, tenant_id: str, calls: Iterable[CallId]) -> dict[str, Run]:
        """Return the states of the runs of these calls by id, with these calls if they have ended."""
        requested = list(calls)
        states = self.states(tenant_id, {call.run_id for call in requested})
        return self.calls.load_attempts(tenant_id, states, requested)

    def state_at(self, key: Key) -> Run | None:
        """Return the state of the run with this key, or None."""
        item = self._store.get(key, only=STATE)
        return self.state(item) if item else None

    def state(self, item: Item) -> Run:
        """Return the state of the run in this item."""
        return state_from_item(item, self._payloads)

    def add(
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
        check_fits(self._store, run.tenant_id, events, storage_gb=storage_gb)
        transaction = Transaction(run.tenant_id)
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=run.run_id)
        if run.artifacts:
            withdraw_tombstone(self._store, run, transaction)
        try:
            transaction.put(run_to_item(run, self._payloads), when=ABSENT)
            if run.waits_for_slot:
                transaction.put(backlog_item(run.tenant_id, run.run_id))
            count_artifacts(transaction, events, storage_gb=storage_gb)
            transaction.emit(*events)
            self._store.commit(transaction)
        except (AinexusError, AlreadyDone):
            if run.artifacts:
                self._try_discard(run)
            raise

    def _try_discard(self, run: Run) -> None:
        try:
            self.discard(run, now=run.created_at)
        except DependencyUnavailable:
            logger.warning("objects of a run that was not stored may be left", run_id=run.run_id)

    def acquire_lease(self, tenant_id: str, run_id: str, *, now: datetime, lease_id: str = "") -> Item | None:
        """Lease a queued run for its next attempt, and record that its call is about to be sent.

        Args:
            tenant_id: the tenant.
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
                "due_pk": DUE,
                "running": Status.RUNNING,
                "one": 1,
                "begun": [attempt_to_item(Attempt(Outcome.RUNNING, leased_at=now))],
                "now": to_text(now),
                **_due(now + LEASE, run_id),
            },
        )
        # A run that waits for a slot is not due, but an old message may name it.
        queued = Expression("#status = :queued AND attribute_exists(#due_at)", {"queued": Status.QUEUED})
        leased = self._store.update_or_see(run_key(tenant_id, run_id), change, when=queued)
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
        change = Expression("SET #due_at = :due_at, #due_sk = :due_sk", _due(now + LEASE, run.run_id))
        item = self._store.update(run_key(run.tenant_id, run.run_id), change, when=fence(run))
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
        change = Expression(
            "SET #open_call = :call, #call_started_at = :now, #seq = :seq, #due_at = :due_at, #due_sk = :due_sk",
            {
                "call": open_call_to_item(run.open_call),
                "now": to_text(now),
                "seq": run.seq,
                **_due(now + LEASE, run.run_id),
            },
        )
        key = run_key(run.tenant_id, run.run_id)
        if self._store.update(key, change, when=fence(run, unless_cancelled=True)) is None:
            raise fence_error(run, self._store.get(key))

    def request_cancel(self, run: Run, *, now: datetime) -> None:
        """Request the worker that executes the run to stop.

        Raises:
            LeaseLost: the run has changed, or the request was made before.
        """
        transaction = Transaction(run.tenant_id)
        change = Expression("SET #cancel_requested = :yes, #seq = #seq + :one", {"yes": True, "one": 1})
        key, lost = run_key(run.tenant_id, run.run_id), refuse_with(LeaseLost())
        transaction.update(key, change, when=fence(run, and_call=True, unless_cancelled=True), otherwise=lost)
        cancellation = self.texts.cancellation(run, run.open_call, now=now) if run.open_call else None
        if cancellation:
            transaction.put(cancellation, when=ABSENT, otherwise=lost)
        self._store.commit(transaction)

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
        check_fits(self._store, before.tenant_id, events, storage_gb=storage_gb)
        transaction = Transaction(before.tenant_id)
        unchanged = fence(before, and_due=only_if_still_due, unless_cancelled=unless_cancelled, next_seq=after.seq)
        changed = changes(before, after, self._payloads)
        key = run_key(before.tenant_id, before.run_id)
        transaction.update(
            key, update_expression(changed), when=unchanged, otherwise=lambda existing: fence_error(before, existing)
        )
        for item in moved_items(before, after):
            transaction.put(item)
        if before.waits_for_slot and not after.waits_for_slot:
            transaction.delete(backlog_key(before.tenant_id, before.run_id))
        elif after.waits_for_slot and not before.waits_for_slot:
            transaction.put(backlog_item(after.tenant_id, after.run_id))
        count_artifacts(transaction, events, storage_gb=storage_gb)
        transaction.emit(*events)
        self._store.commit(transaction)
        return changed

    def publish(self, run: Run, *events: Event[RunEvent]) -> None:
        """Publish events of a run that does not change."""
        transaction = Transaction(run.tenant_id)
        transaction.emit(*events)
        self._store.commit(transaction)

    def address_of_output(self, run: Run, *, lasts_s: int) -> str:
        """Return a link to download the run's output from the bucket, valid for this number of seconds."""
        item = self._store.get(run_key(run.tenant_id, run.run_id))
        if item is None:
            raise RunNotFound
        return self._payloads.address(run.tenant_id, Reader(item).map("output"), lasts_s=lasts_s)

    def soft_delete(self, run: Run, events: list[Event[RunEvent]], *, now: datetime) -> None:
        """Delete a run's item and write its tombstone. The remaining data is removed by `clear`, now or by the reaper.

        A worker that has lost the run may still write an output to the bucket before its write of the run is refused.
        So the reaper clears the run once more when no such worker is left.

        Raises:
            RunNotFound: another request has deleted it.
        """
        transaction = Transaction(run.tenant_id)
        key = run_key(run.tenant_id, run.run_id)
        transaction.delete(key, when=fence(run), otherwise=refuse_with(RunNotFound()))
        tombstone = tombstone_item(run, due_at=now + _PURGE_DELAY)
        transaction.put({**tombstone, "last_due_sk": due_sort_key(now + _MAX_WORKER_LIFETIME, run.run_id)})
        count_artifacts(transaction, events)
        transaction.emit(*events)
        self._store.commit(transaction)

    def discard(self, run: Run, *, now: datetime) -> None:
        """Let the reaper delete the objects of a run that was not stored.

        Another request with the same key may store the same run at this moment, so they are not deleted at once.
        """
        put_tombstone(self._store, run, due_at=now + _PURGE_DELAY)

    def clear(self, tenant_id: str, run_id: str) -> None:
        """Remove the texts, calls and objects of a deleted run, then its tombstone; see `soft_delete`.

        If the run exists, only the tombstone is removed. Without a tombstone, nothing is.
        """
        tombstone = begin_clearing(self._store, tenant_id, run_id)
        if tombstone is None:
            return
        if self._store.get(run_key(tenant_id, run_id), only=("PK", "SK")) is None:
            self.texts.delete(tenant_id, run_id)
            self.calls.delete(tenant_id, run_id)
            self._payloads.delete_below(tenant_id, folder_of(run_id))
        end_clearing(self._store, tenant_id, tombstone)

    def queue_wait(self, *, now: datetime) -> timedelta:
        """Return the time that recently leased runs spent in the workers' queue; zero if no run was leased.

        It is the shortest of these times: a longer one may be that of a run whose message was lost.
        """
        ends = {"pk": DUE, "now": to_text(now), "leased": f"{to_text(now + LEASE)}~"}
        leased = Expression("#due_pk = :pk AND #due_sk BETWEEN :now AND :leased", ends)
        page = self._store.query(leased, index="due", newest_first=True, limit=_SAMPLE_SIZE)
        items = self._store.get_many([key_of(entry) for entry in page.items], only=STATE)
        waits = (_wait_of(state, now=now) for state in map(self.state, items.values()))
        return min((wait for wait in waits if wait is not None), default=timedelta())


def _wait_of(run: Run, *, now: datetime) -> timedelta | None:
    """Return the time that a recently leased run spent in the workers' queue; None for any other run."""
    if run.status is not Status.RUNNING or run.published_at is None:
        return None
    leased_at = run.attempts[-1].leased_at
    return leased_at - run.published_at if now - leased_at <= LEASE * 2 else None


def _due(due_at: datetime, run_id: str) -> dict[str, Value]:
    return {"due_at": to_text(due_at), "due_sk": due_sort_key(due_at, run_id)}
