"""Three services on tables in memory, without a bus: the tests deliver their events."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.reconciliation.comparison import Reconciliation
from cli.reconciliation.report import ReconciliationReport
from services.billing import wiring as of_billing
from services.billing.functions import commands as billing_admin
from services.billing.functions import consumer as billing
from services.metering import wiring as of_metering
from services.metering.functions import closer as metering_closer
from services.metering.functions import commands as metering_admin
from services.metering.functions import consumer as metering
from services.metering.reconciliation import operations as recounting
from services.runs import wiring as of_runs
from services.runs.budgets.domain import Budget, PlanLimits, Spent
from services.runs.functions import commands as runs
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run
from shared.aws.clients import own_client
from shared.events.catalog import CATALOG
from shared.events.envelope import Event
from shared.ids import new_id
from shared.messaging.commands import Commands
from shared.storage.items import Item, Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.examples import CALL, END, OUTPUT, TENANT, submitted
from tests.tables import memory_tables
from tests.tenants import tenant_created

# In the past of the services, whose commands use the current time.
AT = utc_now().astimezone(UTC).replace(hour=11, minute=20, second=0, microsecond=0) - timedelta(days=3)
HOUR = f"{AT:%Y-%m-%dT%H}"
PERIOD = f"{AT:%Y-%m}"
SPENT = Spent(requests=1, tokens=8)
"""The usage of one run."""

_COMMANDS: Mapping[str, Commands] = {
    "metering": metering_admin.handler,
    "runs": runs.handler,
    "billing": billing_admin.handler,
}


@dataclass
class ReconciledServices:
    """The services with the usage of one tenant."""

    lost: str = ""
    """The type of events that are not delivered."""
    delay: timedelta = timedelta(hours=1)
    """The time between the last event and the comparison."""
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def reconciliation(self) -> Reconciliation:
        """The comparison of the tenant; its pauses deliver all events."""
        return Reconciliation(TENANT, _invoke, now=lambda: utc_now() + self.delay, pause=lambda _: self.deliver())

    def compare(self) -> ReconciliationReport:
        """Compare the usage in all services."""
        return self.reconciliation.compare()

    def repair(self) -> list[str]:
        """Correct the differences, and return a line for each correction."""
        return list(self.reconciliation.repair(self.compare()))

    def run(self, *, at: datetime = AT) -> Run:
        """Complete a run with one call, and subtract its tokens from the budget."""
        table = of_runs.slice_runs().of(TENANT)
        made, events = submitted(run_id=new_id("run", at), now=at, first_call=replace(CALL, period=f"{at:%Y-%m}"))
        table.create(made, events, idempotency_key=None)
        item = table.acquire_lease(made.run_id, now=at)
        assert item
        leased = table.load(item)
        done, events = lifecycle.complete(leased, END, OUTPUT, now=at)
        table.save(leased, done, events)
        self.spend(SPENT)
        self.runs.append(done)
        return done

    def spend(self, spent: Spent) -> None:
        """Subtract usage from the budget."""
        transaction = Transaction(TENANT)
        of_runs.slice_budgets().of(TENANT).subtract(PERIOD, spent, transaction=transaction)
        of_runs.slice_store().commit(transaction)

    def deliver(self) -> None:
        """Deliver every event to its consumers."""
        while events := [event for store in _stores() for event in _drain_outbox(store)]:
            for event in events:
                if event.type == self.lost:
                    continue
                for consumer in (metering.handler, billing.handler):
                    if event.type in consumer.types:
                        assert consumer(batch(event)) == {"batchItemFailures": []}

    def close(self) -> None:
        """Deliver all events, close the hours, and deliver the events of that."""
        self.deliver()
        metering_closer.handler({})
        self.deliver()

    def change(self, key: Key, **numbers: int) -> None:
        """Add to the numbers of an item in the usage table."""
        change = Expression("ADD " + ", ".join(f"#{name} :{name}" for name in numbers), numbers)
        assert of_metering.slice_store().update(key, change, when=Expression("attribute_exists(PK)"))

    def outbox_types(self, store: Store) -> set[str]:
        """Return the types of the events in an outbox."""
        pk = store.owned.key(TENANT, "OUTBOX")
        return {str(item["type"]) for item in store.query_all(Expression("#PK = :pk", {"pk": pk}))}

    def rewrite(self, store: Store, item: Item) -> None:
        """Replace an item."""
        transaction = Transaction(TENANT)
        transaction.put(item)
        store.commit(transaction)

    def remove(self, store: Store, *keys: Key) -> None:
        """Remove items."""
        store.remove(keys)


@contextmanager
def reconciled_services() -> Generator[ReconciledServices]:
    """Yield the services with an active tenant that has a budget and no usage."""
    with pytest.MonkeyPatch.context() as environment, memory_tables((of_billing.secrets, of_metering.summary_throttle)):
        environment.setenv("ENVIRONMENT", "test")
        # No other process writes, so that a correction need not wait for it.
        environment.setattr(recounting, "RECOUNT_PAUSE_S", 0)
        own_client("secretsmanager").create_secret(Name="ainexus-test/stripe/secret", SecretString="{}")
        for consumer in (metering.handler, billing.handler):
            assert consumer(batch(tenant_created(TENANT))) == {"batchItemFailures": []}
        budget = Budget.fresh(PlanLimits(seq=1, requests=1_000, tokens=100_000, overage=False))
        of_runs.slice_budgets().of(TENANT).create(PERIOD, budget)
        yield ReconciledServices()


def _invoke(service: str, command: str, /, **arguments: object) -> dict[str, Any]:
    response = _COMMANDS[service]({"command": command, **arguments})
    assert "error" not in response, response
    return response


def _stores() -> tuple[Store, ...]:
    return of_runs.slice_store(), of_metering.slice_store(), of_billing.slice_store()


def _drain_outbox(store: Store) -> list[Event[Any]]:
    """Remove all events from an outbox, and return them by time."""
    pk = store.owned.key(TENANT, "OUTBOX")
    items = list(store.query_all(Expression("#PK = :pk", {"pk": pk})))
    store.remove([Key(str(item["PK"]), str(item["SK"])) for item in items])
    events = [_event(item) for item in items]
    return sorted(events, key=lambda event: event.occurred_at)


def _event(item: Mapping[str, object]) -> Event[Any]:
    return Event[CATALOG[str(item["type"])]].model_validate_json(str(item["event"]))
