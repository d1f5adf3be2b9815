"""Three services on tables under moto, without a bus: their events are carried by hand."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.reconciliation.comparison import Look, Reconciliation
from services.billing import consumer as billing
from services.billing import wiring as of_billing
from services.metering import wiring as of_metering
from services.metering.consumer import commands
from services.metering.consumer import usage as metering
from services.runs import wiring as of_runs
from services.runs.consumer import admin as runs
from services.runs.domain import lifecycle
from services.runs.domain.budget import Budget, Spent, Terms
from services.runs.domain.run import Run
from shared.events.catalogue import CATALOGUE
from shared.events.envelope import Event
from shared.ids import new_id
from shared.messaging.commands import Commands
from shared.storage.clients import own_client
from shared.storage.items import Item, Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.runs import CALL, END, OUTPUT, TENANT, submitted
from tests.tables import memory_tables
from tests.tenants import tenant_created

# In the past as the services see it, whose commands ask for the time themselves.
AT = utc_now().astimezone(UTC).replace(hour=11, minute=20, second=0, microsecond=0) - timedelta(days=3)
HOUR = f"{AT:%Y-%m-%dT%H}"
PERIOD = f"{AT:%Y-%m}"
SPENT = Spent(requests=1, tokens=8)
"""Of one run."""

_COMMANDS: Mapping[str, Commands] = {"metering": commands.admin, "runs": runs.handler, "billing": billing.admin}


@dataclass
class Books:
    """One tenant's books in all three services."""

    lost: str = ""
    """Events of this type do not arrive."""
    later: timedelta = timedelta(hours=1)
    """So long after all that has happened it is looked at."""
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def reconciliation(self) -> Reconciliation:
        """Compares them; nothing moves while it waits."""
        return Reconciliation(TENANT, _ask, now=lambda: utc_now() + self.later, pause=lambda _: self.deliver())

    def look(self) -> Look:
        """What is wrong."""
        return self.reconciliation.look_twice()

    def repair(self) -> list[str]:
        """Put it right; says what was done."""
        return list(self.reconciliation.repair(self.look()))

    def run(self, *, at: datetime = AT) -> Run:
        """A run with one call, its tokens taken from the budget."""
        table = of_runs.slice_runs()
        made, events = submitted(run_id=new_id("run", at), now=at, first_call=replace(CALL, period=f"{at:%Y-%m}"))
        table.add(made, events, once=None)
        taken = table.take(TENANT, made.run_id, now=at)
        assert taken
        done, said = lifecycle.complete(taken, END, OUTPUT, now=at)
        table.save(taken, done, said)
        self.spend(SPENT)
        self.runs.append(done)
        return done

    def spend(self, spent: Spent) -> None:
        """Take something from the budget."""
        transaction = Transaction(TENANT)
        of_runs.slice_budgets().subtract(TENANT, PERIOD, spent, transaction=transaction)
        of_runs.slice_store().commit(transaction)

    def deliver(self) -> None:
        """Carry every event to who listens."""
        while events := [event for store in _stores() for event in _taken_out(store)]:
            for event in events:
                if event.type == self.lost:
                    continue
                for consumer in (metering.consumer, billing.consumer):
                    if event.type in consumer.types:
                        assert consumer(batch(event)) == {"batchItemFailures": []}

    def close(self) -> None:
        """Let everything be delivered, and the hours be closed."""
        self.deliver()
        metering.closer({})
        self.deliver()

    def change(self, key: Key, **numbers: int) -> None:
        """Tamper with an item of metering's."""
        change = Expression("ADD " + ", ".join(f"#{name} :{name}" for name in numbers), numbers)
        assert of_metering.slice_store().update(key, change, when=Expression("attribute_exists(PK)"))

    def waiting(self, store: Store) -> set[str]:
        """The types of the events that wait to be said."""
        pk = store.owned.key(TENANT, "OUTBOX")
        return {str(item["type"]) for item in store.query_all(Expression("#PK = :pk", {"pk": pk}))}

    def rewrite(self, store: Store, item: Item) -> None:
        """Tamper with an item."""
        transaction = Transaction(TENANT)
        transaction.put(item)
        store.commit(transaction)

    def remove(self, store: Store, *keys: Key) -> None:
        """Lose items."""
        store.remove(keys)


@contextmanager
def books() -> Generator[Books]:
    """An active tenant with a budget, and nothing used."""
    with pytest.MonkeyPatch.context() as environment, memory_tables((of_billing.secrets, of_metering.pauses)):
        environment.setenv("ENVIRONMENT", "test")
        own_client("secretsmanager").create_secret(Name="ainexus-test/stripe/secret", SecretString="{}")
        for consumer in (metering.consumer, billing.consumer):
            assert consumer(batch(tenant_created(TENANT))) == {"batchItemFailures": []}
        budget = Budget.fresh(Terms(seq=1, requests=1_000, tokens=100_000, overage=False))
        of_runs.slice_budgets().create(TENANT, PERIOD, budget)
        yield Books()


def _ask(service: str, command: str, /, **given: object) -> dict[str, Any]:
    answer = _COMMANDS[service]({"command": command, **given})
    assert "error" not in answer, answer
    return answer


def _stores() -> tuple[Store, ...]:
    return of_runs.slice_store(), of_metering.slice_store(), of_billing.slice_store()


def _taken_out(store: Store) -> list[Event[Any]]:
    """The events that wait in an outbox, oldest first; they wait there no more."""
    pk = store.owned.key(TENANT, "OUTBOX")
    items = list(store.query_all(Expression("#PK = :pk", {"pk": pk})))
    store.remove([Key(str(item["PK"]), str(item["SK"])) for item in items])
    events = [_event(item) for item in items]
    return sorted(events, key=lambda event: event.occurred_at)


def _event(item: Mapping[str, object]) -> Event[Any]:
    return Event[CATALOGUE[str(item["type"])]].model_validate_json(str(item["event"]))
