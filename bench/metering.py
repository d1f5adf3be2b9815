"""`python -m bench.metering`: the cost of counting usage, in our own code, in requests, and on the local engine."""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from bench import machine, mesh
from bench.metered import MeteredDynamoDB
from cli.api import ApiRequest, send
from infra.costs.model import prices
from infra.local.paths import ROOT
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.counters.table.rows import SeenRows
from services.metering.hours.operations import maintenance as upkeep
from services.metering.hours.operations.maintenance import DueKind
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain.entries import entry_from_call
from services.metering.partitions import SLICE
from shared.events.envelope import Event, new_event, parse
from shared.events.runs import UsageRecorded
from shared.meters import Meter
from shared.observability import logger
from shared.storage.store import Store
from shared.times import to_text, utc_now

PRICED_AS = {
    "write units": "write unit of DynamoDB",
    "read units": "read unit of DynamoDB",
    "events on the bus": "event on EventBridge",
    "requests to the queue": "request to SQS",
    "invocations": "invocation of Lambda",
    "GB-seconds of the function": "GB-second of Lambda (arm64)",
}
"""The names of the counted quantities in the price list."""

_RESULTS = ROOT / "bench" / "results"
_START = datetime(2026, 11, 22, 10, tzinfo=UTC)
_MEMORY_GB = 0.5
_ROUNDS = 5
_OF_QUEUE = 10
_TIMEOUT_S = 900


def main() -> None:
    """Run all measurements, and print and write the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.metering")
    parser.add_argument("--events", type=int, default=20_000, help="that our own code counts in a round")
    parser.add_argument("--on-engine", type=int, default=2_000, help="that are counted end to end; 0: none")
    options = parser.parse_args()
    logger.setLevel("ERROR")
    own = our_code(options.events)
    results: dict[str, Any] = {
        "at": to_text(utc_now()),
        "machine": machine.facts(),
        "our_code": own,
        "requests": {f"batches of {size}": requests(size, cpu_ms=own["cpu_ms_per_event"]) for size in (1, 10)},
    }
    if options.on_engine:
        results["local_engine"] = on_engine(options.on_engine)
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / "metering.json").write_text(f"{json.dumps(results, indent=2)}\n")
    print(json.dumps(results, indent=2))


class Nothing:
    """A table that has every row, accepts every transaction and stores nothing. No summary lease is available."""

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: ANN401, N803 — the signature of botocore
        """Return the rows, which are read once per container."""
        return {"Responses": {table: wanted["Keys"] for table, wanted in RequestItems.items()}}

    def transact_write_items(self, **_: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Accept the transaction."""
        return {}

    def update_item(self, **_: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Refuse the update, because the interval after a summary has not ended."""
        error: Any = {
            "Error": {"Code": "ConditionalCheckFailedException", "Message": ""},
            "Item": {"next_at": {"S": to_text(_START)}},
        }
        raise ClientError(error, "UpdateItem")


def our_code(events: int) -> dict[str, Any]:
    """Measure the CPU of this process from the bodies of messages to requests, without sending them."""
    bodies = [event.model_dump_json() for event in _events(events)]
    store = Store(Nothing(), table="usage", owned=SLICE)  # pyright: ignore[reportArgumentType]  # the calls that counting makes
    rounds, seen = list[float](), SeenRows()
    for _ in range(_ROUNDS):
        began = time.process_time()
        for batch in _in_batches(bodies, _OF_QUEUE):
            _count(store, [parse(UsageRecorded, json.loads(body)) for body in batch], now=_START, seen=seen)
        rounds.append(time.process_time() - began)
    took = statistics.median(rounds)
    return {
        "events_per_second_and_core": round(events / took),
        "cpu_ms_per_event": round(took * 1_000 / events, 3),
        "by_round": [round(events / one) for one in rounds],
    }


def requests(size: int, *, cpu_ms: float) -> dict[str, Any]:
    """Count the AWS requests and units of a thousand events of a tenant in one hour, until the hour is closed.

    Args:
        size: the number of events in a batch.
        cpu_ms: the CPU time of our own code per event.
    """
    events = 1_000
    table = MeteredDynamoDB()
    store = Store(table, table="usage", owned=SLICE)
    for number, batch in enumerate(_in_batches(_events(events), size)):
        now = _START + HOUR * number * size / events
        _count(store, batch, now=now)
        upkeep.sweep_due(store, now=now, kinds=(DueKind.SUMMARY,))
    of_counting = table.write_units
    upkeep.sweep_due(store, now=_START + HOUR + GRACE_PERIOD, kinds=(DueKind.HOUR,))
    batches = events // size
    counted = {
        "write units": table.write_units,
        "read units": table.read_units,
        "events on the bus": events,
        # The bus sends each event by itself. A batch is received and deleted with one request each.
        "requests to the queue": events + 2 * batches,
        "invocations": batches,
        "GB-seconds of the function": round(events * cpu_ms * _MEMORY_GB / 1_000, 3),
    }
    nano_usd = prices()["nano_usd"]
    spent = sum(nano_usd[PRICED_AS[what]] * amount for what, amount in counted.items())
    return {
        "write_units_per_event_without_closing": round(of_counting / events, 2),
        "per_1000_events": counted,
        "dynamodb_calls_per_1000_events": dict(table.calls_of),
        "usd_per_million_events": round(spent / 1e6, 2),
    }


def on_engine(events: int) -> dict[str, Any]:
    """Measure the time from the bus to the counters on the local engine, and the CPU of our functions."""
    with mesh.deployed() as ours:
        agent_id = f"agt_{uuid4().hex}"
        recorded = _events(events, agents=(agent_id,), now=utc_now(), tenant_id="demo-org")
        before, began = ours.cpu_ms(), time.monotonic()
        for batch in _in_batches(recorded, _OF_QUEUE):
            entries = [
                {
                    "Source": event.source,
                    "DetailType": event.type,
                    "Detail": event.model_dump_json(),
                    "EventBusName": ours.target.outputs["EventBusName"],
                }
                for event in batch
            ]
            ours.target.clients.events.put_events(Entries=entries)  # pyright: ignore[reportArgumentType]  # plain dicts instead of the stubs' types
        _wait(lambda: _requests_of(ours, agent_id) >= events)
        took_s = time.monotonic() - began
        cpu_ms = ours.cpu_ms() - before
        return {
            "events": events,
            "counted": _requests_of(ours, agent_id),
            "events_per_second": round(events / took_s, 1),
            "cpu_ms_per_event": {name: round(ms / events, 2) for name, ms in cpu_ms.most_common() if ms},
        }


def _requests_of(ours: mesh.MeasuredMesh, agent_id: str) -> int:
    """Return the number of requests that the usage API returns for this agent."""
    url = f"{ours.tenant_url}/usage/daily?group_by=agent"
    rows = send(ApiRequest("GET", url, token=ours.token)).body["daily"]
    return sum(row["meters"]["requests"] for row in rows if row["agent_id"] == agent_id)


def _wait(is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + _TIMEOUT_S
    while not is_done():
        if time.monotonic() > until:
            msg = "the events are not counted"
            raise RuntimeError(msg)
        time.sleep(0.2)


def _count(
    store: Store, events: Sequence[Event[UsageRecorded]], *, now: datetime, seen: SeenRows | None = None
) -> None:
    entries = [(event.tenant_id, entry_from_call(event)) for event in events]
    for error in ingestion.count(store, entries, now=now, seen=seen).values():
        raise error


def _in_batches(several: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (several[start : start + size] for start in range(0, len(several), size))


def _events(
    number: int,
    *,
    agents: Sequence[str] = ("agt_0", "agt_1", "agt_2", "agt_3", "agt_4"),
    now: datetime = _START,
    tenant_id: str = "bench",
) -> list[Event[UsageRecorded]]:
    """Return calls of five agents and two models in one hour."""
    chance = random.Random(1)  # noqa: S311 — a fixed seed
    return [
        _event(
            f"run_{uuid4().hex}",
            at=now + timedelta(milliseconds=n % 1_000),
            tenant_id=tenant_id,
            chance=chance,
            agents=agents,
        )
        for n in range(number)
    ]


def _event(
    run: str, *, at: datetime, tenant_id: str, chance: random.Random, agents: Sequence[str]
) -> Event[UsageRecorded]:
    payload = UsageRecorded(
        run_id=run,
        attempt=1,
        call=1,
        request_id=f"request-of-{run}",
        agent_id=chance.choice(agents),
        version=1,
        provider="openai",
        model=chance.choice(("gpt-4", "gpt-4-mini")),
        meters={
            Meter.REQUESTS: 1,
            Meter.TOKENS_IN: chance.randrange(1, 5_000),
            Meter.TOKENS_OUT: chance.randrange(1, 2_000),
            Meter.COMPUTE_MS: chance.randrange(60_000),
        },
        cost_nano_usd=chance.randrange(10**7),
        price_version="2026-11-01",
        simulated=False,
        period=f"{at:%Y-%m}",
    )
    return new_event(payload, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)


if __name__ == "__main__":
    main()
