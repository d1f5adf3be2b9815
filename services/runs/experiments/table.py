"""Storage of experiments and their trials.

The trials of a tenant's experiments are spread over 16 partitions by experiment. The counters of an experiment are
changed in the transactions of its trials, so that its budget is exact at any concurrency.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any

from services.runs.errors import ExperimentChanged, ExperimentNotFound, TooManyExperiments
from services.runs.experiments.domain.experiment import (
    MAX_RUNNING,
    Definition,
    Experiment,
    ExperimentStatus,
    Scorer,
    TrialCounts,
    Variant,
)
from services.runs.experiments.domain.settings import Stopping
from services.runs.experiments.domain.trials import Trial, TrialStatus
from services.runs.partitions import EXPERIMENTS, SLICE, TRIALS
from shared.events.envelope import Event
from shared.events.runs import RunsEvent
from shared.storage.codec import Codec, Conversion
from shared.storage.due import DueEntry, DueIndex, unmoved
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Item, Key
from shared.storage.store import Store
from shared.storage.table import TenantRows, TenantTable, adding, setting
from shared.storage.transaction import Expression, Transaction, refuse_with

EXPERIMENTS_DUE = DueIndex(SLICE, "EXPERIMENT")
CHECK_INTERVAL = timedelta(minutes=5)
"""The interval at which the reaper checks a running experiment for lost messages."""


def _definition_to_text(definition: Definition) -> str:
    return json.dumps(asdict(definition), separators=(",", ":"))


def _definition_from_text(text: str) -> Definition:
    known: dict[str, Any] = json.loads(text)
    known["variants"] = tuple(Variant(**variant) for variant in known["variants"])
    known["scorers"] = tuple(Scorer(**scorer) for scorer in known["scorers"])
    known["stopping"] = Stopping(known["stopping"])
    return Definition(**known)


_EXPERIMENTS = Codec(
    Experiment,
    flat={"progress": ""},
    conversions={Definition: Conversion(_definition_to_text, _definition_from_text)},
)


class TrialAlreadyScheduled(Exception):
    """Another delivery has scheduled the trial, or the experiment is over."""


class BudgetExhausted(Exception):
    """The budget of the experiment does not hold another trial."""


class TrialTable(TenantTable[Trial]):
    """The trials of one experiment."""

    id_field = "number"
    codec = Codec(Trial)

    def __init__(self, store: Store, tenant_id: str, experiment_id: str) -> None:
        super().__init__(store, tenant_id, TRIALS, _spread(experiment_id))
        self.prefix = f"{experiment_id}#"  # pyright: ignore[reportAttributeAccessIssue]  # it names the experiment

    def id_of(self, record: Trial) -> str:
        """Return the number with leading zeros, so that trials sort by number."""
        return f"{record.number:05}"

    def number(self, number: int) -> Trial | None:
        """Return a trial, or None if it was not scheduled yet."""
        return self.find(f"{number:05}")

    def page_from(self, first: int, count: int) -> list[Trial]:
        """Return some trials by their numbers; those that were not scheduled are missing."""
        last = self.key(f"{first + count - 1:05}")
        return [self.decode(item) for item in self.items_between(self.pk, self.key(f"{first:05}").sk, last.sk)]

    def under_way(self, count: int) -> Iterator[Trial]:
        """Yield the trials that have not ended, the latest first, at most as many as there are."""
        values = {"pk": self.pk, "prefix": self.prefix}
        condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", values)
        items = self.store.query_all(condition, newest_first=True) if count > 0 else iter(())
        trials = (self.decode(item) for item in items)
        yield from islice((trial for trial in trials if not trial.status.is_final), count)

    def keys(self) -> Iterator[Key]:
        """Yield the keys of all trials."""
        return (Key(str(item["PK"]), str(item["SK"])) for item in self.items_below(self.pk, self.prefix))


def _spread(experiment_id: str) -> str:
    return hashlib.sha256(experiment_id.encode()).hexdigest()[0]


class ExperimentTable(TenantTable[Experiment]):
    """The experiments of a tenant."""

    prefix, id_field = "EXPERIMENT#", "experiment_id"
    codec = _EXPERIMENTS
    not_found, changed = ExperimentNotFound, ExperimentChanged

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, EXPERIMENTS)
        self._running = RunningExperiments(store, tenant_id)

    def create(self, experiment: Experiment, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new experiment.

        Raises:
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=experiment.experiment_id)
        self.add(transaction, experiment)
        self.store.commit(transaction)

    def save(self, experiment: Experiment, events: Sequence[Event[RunsEvent]] = (), *, running: int = 0) -> None:
        """Write the next revision of an experiment, without its counters, and count the running experiments.

        Args:
            experiment: the experiment.
            events: the events of the change.
            running: how many more experiments of the tenant are running: 1, 0 or -1.

        Raises:
            ExperimentChanged, ExperimentNotFound: another request changed or deleted it.
            TooManyExperiments: the tenant runs the maximum number of experiments.
        """
        transaction = self.transaction()
        values = self.codec.encode(experiment)
        counters = asdict(TrialCounts()).keys()
        written = {name: value for name, value in values.items() if name not in counters and name != "experiment_id"}
        if running > 0:
            written |= EXPERIMENTS_DUE.place(experiment.updated_at + CHECK_INTERVAL, experiment.experiment_id)
        change = Expression("SET " + ", ".join(f"#{name} = :{name}" for name in written), written)
        key = self.key(experiment.experiment_id)
        transaction.update(key, change, when=self.has_revision(experiment.seq - 1), otherwise=self.refusal)
        if running:
            self._running.count(transaction, running)
        transaction.emit(*events)
        self.store.commit(transaction)

    def remove(self, experiment: Experiment) -> None:
        """Delete an experiment in the revision that was read."""
        transaction = self.transaction()
        self.delete(transaction, experiment)
        self.store.commit(transaction)

    def schedule(self, experiment: Experiment, trial: Trial, event: Event[RunsEvent]) -> None:
        """Hold the budget of the next trial and write it, in one transaction.

        Raises:
            TrialAlreadyScheduled: another delivery was faster, or the experiment is over.
            BudgetExhausted: held, spent and this trial would exceed the budget.
        """
        transaction = self.transaction(is_step=True)
        definition = experiment.definition
        held = {"held_nano_usd": trial.held_nano_usd, "held_tokens": trial.held_tokens}
        terms, values = ["#status = :running"], dict[str, Any]({"running": ExperimentStatus.RUNNING})
        terms.append(
            "(attribute_not_exists(#scheduled) OR #scheduled = :number)" if not trial.number else "#scheduled = :number"
        )
        values["number"] = trial.number
        for name, limit in (("nano_usd", definition.max_cost_nano_usd), ("tokens", definition.max_tokens)):
            if limit is not None:
                # One number counts the used and the held amount, so that one condition bounds their sum.
                terms.append(f"(attribute_not_exists(#taken_{name}) OR #taken_{name} <= :room_{name})")
                values[f"room_{name}"] = limit - held[f"held_{name}"]
                if values[f"room_{name}"] < 0:
                    raise BudgetExhausted
        taken = {"taken_nano_usd": trial.held_nano_usd, "taken_tokens": trial.held_tokens}
        change = adding({"scheduled": 1, **held, **taken})
        condition = Expression(" AND ".join(terms), values)
        transaction.update(
            self.key(experiment.experiment_id), change, when=condition, otherwise=lambda seen: _refusal(seen, trial)
        )
        TrialTable(self.store, self.tenant_id, experiment.experiment_id).add(
            transaction, trial, otherwise=refuse_with(TrialAlreadyScheduled())
        )
        transaction.emit(event)
        self.store.commit(transaction)

    def end_trial(self, before: Trial, after: Trial, *, is_error: bool) -> None:
        """Write the end of a trial, and replace what it held by what it has spent.

        Raises:
            TrialAlreadyEnded: another delivery has ended it.
        """
        transaction = self.transaction(is_step=True)
        numbers = {
            "ended": 1,
            "errors": int(is_error),
            "held_nano_usd": -before.held_nano_usd,
            "spent_nano_usd": after.spent_nano_usd,
            "held_tokens": -before.held_tokens,
            "spent_tokens": after.spent_tokens,
            "taken_nano_usd": after.spent_nano_usd - before.held_nano_usd,
            "taken_tokens": after.spent_tokens - before.held_tokens,
        }
        key = self.key(before.experiment_id)
        transaction.update(key, adding(numbers), when=Expression("attribute_exists(PK)"))
        trials = TrialTable(self.store, self.tenant_id, before.experiment_id)
        scheduled = trials.equal(status=TrialStatus.SCHEDULED)
        transaction.put(trials.item(after), when=scheduled, otherwise=refuse_with(TrialAlreadyEnded()))
        self.store.commit(transaction)

    def publish(self, *events: Event[RunsEvent]) -> None:
        """Publish events of an experiment that does not change."""
        transaction = self.transaction(is_step=True)
        transaction.emit(*events)
        self.store.commit(transaction)

    def forget_due(self, entry: DueEntry) -> None:
        """Remove an experiment without trials under way from the queue of the reaper."""
        self.store.try_update(entry.key, setting({"due_pk": None, "due_sk": None}), when=unmoved(entry))

    def running(self) -> int:
        """Return the number of running experiments of the tenant."""
        return self._running.number()


class TrialAlreadyEnded(Exception):
    """Another delivery has ended the trial."""


def _refusal(seen: Item | None, trial: Trial) -> Exception:
    """Return why a trial was not scheduled: by the state of its experiment, or by its budget."""
    is_next = seen is not None and int(str(seen.get("scheduled", 0))) == trial.number
    is_running = seen is not None and seen.get("status") == ExperimentStatus.RUNNING
    return BudgetExhausted() if is_next and is_running else TrialAlreadyScheduled()


class RunningExperiments(TenantRows):
    """The number of a tenant's running experiments, which share its slots."""

    @property
    def _key(self) -> Key:
        return Key(self.partition(EXPERIMENTS), "RUNNING")

    def number(self) -> int:
        """Return the number."""
        return int(str((self.store.get(self._key) or {}).get("running", 0)))

    def count(self, transaction: Transaction, more: int) -> None:
        """Change the number within its limit."""
        room = Expression("attribute_not_exists(#running) OR #running < :limit", {"limit": MAX_RUNNING})
        too_many = refuse_with(TooManyExperiments(MAX_RUNNING))
        transaction.update(self._key, adding({"running": more}), when=room if more > 0 else None, otherwise=too_many)
