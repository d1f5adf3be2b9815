"""Sweeps: scheduled loops over due work of all tenants, in which no entry can stop the others.

Every entry is handled by itself. One that fails is logged, counted and moved back (`shared.storage.quarantine`); the
loop goes on. It ends at the invocation's deadline, and the next one starts with the longest due entry. A tenant has a
share of the time, so that one with slow entries does not keep the others waiting.
"""

import contextvars
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

from shared.aws.errors import is_outage
from shared.deadline import remaining_s
from shared.failures import facts_of
from shared.metrics import QUARANTINED, SWEEP_BACKLOG, SWEEP_FAILURES, Metric
from shared.observability import logger
from shared.storage.due import DueEntry, DueQueue
from shared.storage.quarantine import record_failure

T = TypeVar("T")

TENANT_BUDGET_S = 10.0
"""Seconds of handling that one tenant may take of a sweep; its other entries are left to the next one."""


@dataclass(slots=True)
class Swept:
    """The result of one sweep."""

    handled: int = 0
    failed: int = 0
    quarantined: int = 0
    left: int = 0
    """Entries that are due and were not reached."""
    results: list[Any] = field(default_factory=list[Any])
    """The results of the handler that are not None, in no particular order."""

    @property
    def metrics(self) -> dict[Metric, float]:
        """The numbers that alarms watch."""
        return {SWEEP_FAILURES: self.failed, QUARANTINED: self.quarantined, SWEEP_BACKLOG: self.left}


def sweep(
    queue: DueQueue[Any],
    handle: Callable[[DueEntry], object],
    *,
    now: datetime,
    concurrency: int = 1,
    tenant_budget_s: float = TENANT_BUDGET_S,
    entries: Iterable[DueEntry] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Swept:
    """Handle the due entries of a queue until all are done or the invocation's time is over.

    Args:
        queue: the queue to sweep.
        handle: handles one entry. It must be idempotent, since overlapping sweeps may both find an entry.
        now: the time.
        concurrency: how many entries are handled at the same time.
        tenant_budget_s: see `TENANT_BUDGET_S`.
        entries: other than those that the queue returns.
        monotonic: the clock of the budgets.
    """
    swept, used_s = Swept(), defaultdict[str, float](float)

    def handle_one(entry: DueEntry) -> tuple[DueEntry, object, Exception | None]:
        began = monotonic()
        try:
            return entry, handle(entry), None
        except Exception as error:  # noqa: BLE001 — one entry must not stop the others
            return entry, None, error
        finally:
            used_s[entry.tenant_id] += monotonic() - began

    due = iter(queue.entries(now=now) if entries is None else entries)
    loaded = queue.read_ahead(_affordable(due, used_s, tenant_budget_s, swept))
    # Time may pass between the read of a batch and its last entry.
    affordable = _affordable(loaded, used_s, tenant_budget_s, swept)
    for entry, result, error in _concurrently(handle_one, affordable, concurrency):
        if error is None:
            swept.handled += 1
            if result is not None:
                swept.results.append(result)
        else:
            _record(queue, entry, error, swept, now=now)
    swept.left += sum(1 for _ in chain(loaded, due))
    return swept


def _affordable(
    due: Iterator[DueEntry], used_s: dict[str, float], tenant_budget_s: float, swept: Swept
) -> Iterator[DueEntry]:
    """Pass on entries while there is time, except those of tenants whose share is used up."""
    while remaining_s() > 0:
        entry = next(due, None)
        if entry is None:
            return
        if used_s[entry.tenant_id] < tenant_budget_s:
            yield entry
        else:
            swept.left += 1


def _record(queue: DueQueue[Any], entry: DueEntry, error: Exception, swept: Swept, *, now: datetime) -> None:
    facts = facts_of(error)
    logger.warning("sweep entry failed", kind=entry.kind, tenant_id=entry.tenant_id, item=entry.key.pk, **facts)
    swept.failed += 1
    try:
        failure = record_failure(queue, entry, facts, now=now, is_outage=is_outage(error))
    except Exception as again:  # noqa: BLE001 — the entry stays due as it is
        logger.error("failure of a sweep entry not recorded", kind=entry.kind, item=entry.key.pk, **facts_of(again))
        return
    swept.quarantined += failure.quarantined_at is not None


def _concurrently(work: Callable[[DueEntry], T], entries: Iterator[DueEntry], concurrency: int) -> Iterator[T]:
    """Yield the results as they come; at most `concurrency` entries are taken and not finished."""
    if concurrency == 1:
        yield from map(work, entries)
        return
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        running: set[Future[T]] = set()
        for entry in entries:
            running.add(pool.submit(contextvars.copy_context().run, work, entry))
            if len(running) < concurrency:
                continue
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
        yield from (future.result() for future in wait(running).done)
