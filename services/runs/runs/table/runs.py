"""Reading and writing runs; every write of an attempt is fenced by its number.

A run is read whole, or as its state: without inputs, metadata, turns and output, which may be large and lie in the
bucket. A write holds what has changed, so that a state is written without them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.runs.domain.lifecycle import LEASE
from services.runs.domain.run import Attempt, Outcome, Run, Status
from services.runs.errors import LeaseLost, RunNotFound
from services.runs.table import SLICE
from services.runs.table.backlog import BacklogTable, backlog_item, backlog_key
from services.runs.table.changes import PAYLOADS, STATE, changes, fence, refusal, setting
from services.runs.table.items import (
    DUE,
    buried_item,
    buried_key,
    due_place,
    folder_of,
    list_key,
    run_from_item,
    run_key,
    run_to_item,
)
from services.runs.table.parts import attempt_to_item, open_call_to_item
from services.runs.table.texts import TextTable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.ids import first_at
from shared.storage.due import DueQueue
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.times import to_text

_CLEARED_DUE = timedelta(minutes=1)
"""When the reaper clears what a deletion that was cut off has left."""
_SAMPLED = 100
"""Runs by which the wait in the workers' queue is estimated."""
_SCANNED_AT_MOST = 1_000
"""Runs that one page looks at when its filter lets few of them pass."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; None lets all pass."""

    status: Status | None = None
    agent_id: str | None = None
    project_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    """Half-open: created before it."""

    def lets_pass(self, run: Run) -> bool:
        """Whether it shows this run; the times are the query's business."""
        return (
            self.status in {None, run.status}
            and self.agent_id in {None, run.agent_id}
            and self.project_id in {None, run.project_id}
        )


class RunTable:
    """The runs of one slice, with their payloads."""

    def __init__(self, store: Store, payloads: Payloads) -> None:
        self._store = store
        self._payloads = payloads
        self.texts = TextTable(store)
        self.backlog = BacklogTable(store)
        self.queue = DueQueue(store, "RUN")
        self.buried = DueQueue(store, "BURIED")

    def get(self, tenant_id: str, run_id: str, *, known: Run | None = None) -> Run:
        """One run.

        Args:
            tenant_id: whose it is.
            run_id: its id.
            known: the run as it was read before; given back while that is how it stands.

        Raises:
            RunNotFound: this tenant has none with this id.
        """
        item = self._store.get(run_key(tenant_id, run_id))
        if item is None:
            raise RunNotFound
        return known if known and item["seq"] == known.seq else run_from_item(item, self._payloads)

    def whole(self, item: Item) -> Run:
        """Return the run in this item, with what lies in the bucket."""
        return run_from_item(item, self._payloads)

    def written(self, tenant_id: str, run_id: str, item: Item) -> Run:
        """The run that was written as this item.

        Raises:
            RunNotFound: it is another one.
        """
        if (item["tenant_id"], item["run_id"]) != (tenant_id, run_id):
            raise RunNotFound
        return run_from_item(item, self._payloads)

    def find_many(self, tenant_id: str, run_ids: Iterable[str]) -> dict[str, Run]:
        """Those of these runs that there are, by their ids."""
        items = self._store.get_many([run_key(tenant_id, run_id) for run_id in run_ids])
        found = (run_from_item(item, self._payloads) for item in items.values())
        return {run.run_id: run for run in found}

    def states(self, tenant_id: str, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the states of these runs by their ids; runs that do not exist are omitted."""
        items = self._store.get_many([run_key(tenant_id, run_id) for run_id in run_ids], only=STATE)
        return {state.run_id: state for state in map(self.state, items.values())}

    def state_at(self, key: Key) -> Run | None:
        """Return the state of the run that is stored under this key."""
        item = self._store.get(key, only=STATE)
        return self.state(item) if item else None

    def state(self, item: Item) -> Run:
        """Return the state of the run in this item."""
        known = {name: value for name, value in item.items() if name not in PAYLOADS}
        return run_from_item(known, self._payloads)

    def page(self, tenant_id: str, chosen: RunFilter, *, limit: int, after: str | None) -> tuple[list[Run], str | None]:
        """A page of runs, newest first, and the place to go on from.

        A filter that lets few runs pass can give a short page that is not the last one. What lies in the bucket stays
        there: of large inputs and outputs a page says only how large they are.
        """
        found: list[Run] = []
        last_seen: str | None = None
        for scanned, run in enumerate(self._newest_first(tenant_id, chosen, after=after)):
            if len(found) == limit or scanned == _SCANNED_AT_MOST:
                return found, last_seen
            last_seen = run.run_id
            if chosen.lets_pass(run):
                found.append(run)
        return found, None

    def add(self, run: Run, events: list[Event[RunEvent]], *, once: Once | None) -> None:
        """Write a new run and what is said of it, both or neither.

        Raises:
            AlreadyDone: this request was carried out before.
        """
        transaction = Transaction(run.tenant_id)
        if once:
            once.remember(transaction, SLICE, resource_id=run.run_id)
        transaction.put(run_to_item(run, self._payloads), when=ABSENT)
        if run.waits_for_slot:
            transaction.put(backlog_item(run.tenant_id, run.run_id))
        transaction.emit(*events)
        self._store.commit(transaction)

    def take(self, tenant_id: str, run_id: str, *, now: datetime) -> Item | None:
        """Lease a queued run for its next attempt, and write that its call is about to be sent.

        Returns:
            The run's item, under its new fencing token, or None when there is nothing to take.
        """
        change = Expression(
            "SET #status = :running, #attempt = #attempt + :one, #attempts = list_append(#attempts, :begun), "
            "#seq = #seq + :one, #call_started_at = :now, #started_at = if_not_exists(#started_at, :now), "
            "#due_at = :due_at, #due_pk = :due_pk, #due_sk = :due_sk",
            {
                "due_pk": DUE,
                "running": Status.RUNNING,
                "one": 1,
                "begun": [attempt_to_item(Attempt(Outcome.RUNNING, leased_at=now))],
                "now": to_text(now),
                **_due(now + LEASE, run_id),
            },
        )
        # One that waits for a slot is not due, and an old message may name it.
        queued = Expression("#status = :queued AND attribute_exists(#due_at)", {"queued": Status.QUEUED})
        return self._store.update(run_key(tenant_id, run_id), change, when=queued)

    def extend(self, run: Run, *, now: datetime) -> bool:
        """Keep the lease for longer; says whether the client has cancelled meanwhile.

        Raises:
            LeaseLost: another attempt has the run.
        """
        change = Expression("SET #due_at = :due_at, #due_sk = :due_sk", _due(now + LEASE, run.run_id))
        item = self._store.update(run_key(run.tenant_id, run.run_id), change, when=fence(run))
        if item is None:
            raise LeaseLost
        return bool(item.get("cancel_requested"))

    def begin_call(self, run: Run, *, now: datetime) -> None:
        """Write down the call that is about to be sent, unless the client has cancelled.

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
            raise refusal(run, self._store.get(key))

    def request_cancel(self, run: Run, *, now: datetime) -> None:
        """Ask the worker that has the run to stop.

        Raises:
            LeaseLost: it has moved on, or was asked before.
        """
        transaction = Transaction(run.tenant_id)
        change = Expression("SET #cancel_requested = :yes, #seq = #seq + :one", {"yes": True, "one": 1})
        key, lost = run_key(run.tenant_id, run.run_id), refuse_with(LeaseLost())
        transaction.update(key, change, when=fence(run, and_call=True, unless_cancelled=True), otherwise=lost)
        told = self.texts.cancellation(run, run.open_call, now=now) if run.open_call else None
        if told:
            transaction.put(told, when=ABSENT, otherwise=lost)
        self._store.commit(transaction)

    def save(
        self,
        before: Run,
        after: Run,
        events: list[Event[RunEvent]],
        *,
        only_if_still_due: bool = False,
        unless_cancelled: bool = False,
    ) -> Item:
        """Write what became of a run, if it is still in the state that this was decided in.

        Returns:
            The attributes that were written; those that were removed are None.

        Args:
            before: as it was read, whole or its state.
            after: as it is to be.
            events: that say so.
            only_if_still_due: for the reaper, which must not take a run whose lease was extended meanwhile.
            unless_cancelled: for a worker that would go on.

        Raises:
            LeaseLost: it is not.
            CancelRequested: it is, but the client has cancelled.
        """
        transaction = Transaction(before.tenant_id)
        unchanged = fence(before, and_due=only_if_still_due, unless_cancelled=unless_cancelled, next_seq=after.seq)
        changed = changes(before, after, self._payloads)
        key = run_key(before.tenant_id, before.run_id)
        transaction.update(key, setting(changed), when=unchanged, otherwise=lambda there: refusal(before, there))
        if before.waits_for_slot and not after.waits_for_slot:
            transaction.delete(backlog_key(before.tenant_id, before.run_id))
        elif after.waits_for_slot and not before.waits_for_slot:
            transaction.put(backlog_item(after.tenant_id, after.run_id))
        transaction.emit(*events)
        self._store.commit(transaction)
        return changed

    def say(self, run: Run, *events: Event[RunEvent]) -> None:
        """Say these events of a run that does not change."""
        transaction = Transaction(run.tenant_id)
        transaction.emit(*events)
        self._store.commit(transaction)

    def address_of_output(self, run: Run, *, lasts_s: int) -> str:
        """Where the run's output, which lies in the bucket, can be downloaded for so long."""
        item = self._store.get(run_key(run.tenant_id, run.run_id))
        if item is None:
            raise RunNotFound
        return self._payloads.address(run.tenant_id, Reader(item).map("output"), lasts_s=lasts_s)

    def bury(self, run: Run, events: list[Event[RunEvent]], *, now: datetime) -> None:
        """Take a run out of sight in one write; what it leaves behind is `clear`ed, at once or by the reaper.

        Raises:
            RunNotFound: somebody else has.
        """
        transaction = Transaction(run.tenant_id)
        key = run_key(run.tenant_id, run.run_id)
        transaction.delete(key, when=fence(run), otherwise=refuse_with(RunNotFound()))
        transaction.put(buried_item(run, due_at=now + _CLEARED_DUE))
        transaction.emit(*events)
        self._store.commit(transaction)

    def clear(self, tenant_id: str, run_id: str) -> None:
        """Remove what a buried run has left: its texts, its objects, and in the end the note of it."""
        self.texts.delete(tenant_id, run_id)
        self._payloads.delete_below(tenant_id, folder_of(run_id))
        transaction = Transaction(tenant_id)
        transaction.delete(buried_key(tenant_id, run_id))
        self._store.commit(transaction)

    def queue_wait(self, *, now: datetime) -> timedelta:
        """Return how long the runs that workers have just taken were in the workers' queue; zero when none was taken.

        The shortest of those waits: one that is longer may be that of a run whose message was lost.
        """
        ends = {"pk": DUE, "now": to_text(now), "leased": f"{to_text(now + LEASE)}~"}
        leased = Expression("#due_pk = :pk AND #due_sk BETWEEN :now AND :leased", ends)
        page = self._store.query(leased, index="due", newest_first=True, limit=_SAMPLED)
        items = self._store.get_many([key_of(entry) for entry in page.items], only=STATE)
        waits = (_wait_of(state, now=now) for state in map(self.state, items.values()))
        return min((wait for wait in waits if wait is not None), default=timedelta())

    def under_way(self, tenant_id: str) -> Iterator[str]:
        """The ids of the tenant's runs that have not ended, as the reaper finds them; first those that wait."""
        yield from self.backlog.run_ids(tenant_id)
        prefix = run_key(tenant_id, "").pk
        resume_after: Item | None = None
        while True:
            page = self._store.query(Expression("#due_pk = :pk", {"pk": DUE}), index="due", resume_after=resume_after)
            keys = [key_of(item).pk for item in page.items]
            yield from (key.removeprefix(prefix) for key in keys if key.startswith(prefix))
            resume_after = page.resume_after
            if resume_after is None:
                return

    def made_in(self, tenant_id: str, span: str) -> Iterator[Run]:
        """The runs whose ids begin so, newest first, without what lies in the bucket."""
        return self._between(tenant_id, start=span, before=f"{span}~")

    def _newest_first(self, tenant_id: str, chosen: RunFilter, *, after: str | None) -> Iterator[Run]:
        end = first_at(chosen.end) if chosen.end else "~"
        before = min(after, f"run_{end}") if after else f"run_{end}"
        start = f"run_{first_at(chosen.start)}" if chosen.start else "run_"
        return self._between(tenant_id, start=start, before=before)

    def _between(self, tenant_id: str, *, start: str, before: str) -> Iterator[Run]:
        if before < start:
            return  # The database refuses a range that is turned around.
        condition = Expression(
            "#list_pk = :pk AND #list_sk BETWEEN :start AND :before",
            {"pk": list_key(tenant_id), "start": start, "before": before},
        )
        resume_after: Item | None = None
        while True:
            page = self._store.query(condition, index="list", newest_first=True, limit=100, resume_after=resume_after)
            # Both bounds of BETWEEN belong to it; the upper one was seen, or is the end of a half-open range.
            keys = [key_of(item) for item in page.items if item["list_sk"] != before]
            items = self._store.get_many(keys)
            found = (items[key] for key in keys if key in items)
            yield from (run_from_item(item, self._payloads, whole=False) for item in found)
            resume_after = page.resume_after
            if resume_after is None:
                return


def _wait_of(run: Run, *, now: datetime) -> timedelta | None:
    """Return how long a run that was just taken was in the workers' queue; None for every other one."""
    if run.status is not Status.RUNNING or run.published_at is None:
        return None
    leased_at = run.attempts[-1].leased_at
    return leased_at - run.published_at if now - leased_at <= LEASE * 2 else None


def _due(due_at: datetime, run_id: str) -> dict[str, Value]:
    return {"due_at": to_text(due_at), "due_sk": due_place(due_at, run_id)}
