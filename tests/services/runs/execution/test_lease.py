"""The lease of a run during its call."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, repeat
from typing import Any, cast

import pytest

from services.runs.errors import CancelRequested, LeaseLost
from services.runs.execution import consumer
from services.runs.execution.operations.lease import Lease
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.lifecycle import LEASE
from services.runs.runs.domain.run import Status
from services.runs.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.payloads import Payloads
from shared.storage.store import Store, TableClient
from tests.services.runs.conftest import World
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, submit, worker_of

Answer = bool | Exception


class Extending:
    """Returns these results in order, then blocks; signals when all were returned."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers: Iterator[Answer] = iter(answers)
        self._left = len(answers)
        self.asked = threading.Event()

    def __call__(self) -> bool:
        """Extend once."""
        answer = next(self._answers, False)
        self._left -= 1
        if self._left <= 0:
            self.asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


class TestLease:
    def test_is_extended_while_nothing_streams(self) -> None:
        extend = Extending([False] * 3)
        with Lease(extend, every_s=0.001) as lease:
            assert extend.asked.wait(10)
            lease.check()

    def test_survives_a_database_outage(self) -> None:
        extend = Extending([DependencyUnavailable("Busy."), False])
        with Lease(extend, every_s=0.001) as lease:
            assert extend.asked.wait(10)
            lease.check()

    @pytest.mark.parametrize(("answer", "refusal"), [(True, CancelRequested), (LeaseLost(), LeaseLost)])
    def test_ends_the_call_when_it_is_refused(self, answer: Answer, refusal: type[Exception]) -> None:
        lease = Lease(Extending([answer]), every_s=0.001)
        with lease:
            lease._thread.join(10)  # pyright: ignore[reportPrivateUsage]  # it ends with the refusal
        with pytest.raises(refusal):
            lease.check()


def test_is_extended_before_sending_when_it_is_old(world: World) -> None:
    run, sent_at = submit(world), LATER + LEASE * 2 / 3
    seen: list[datetime | None] = []
    model = ScriptedModel([[lambda: seen.append(world.runs.get(run.run_id).due_at), TextDelta("Hello"), StreamEnd({})]])
    execute(world, run, model, clock=chain([LATER], repeat(sent_at)))
    assert seen == [sent_at + LEASE]


class TestAcquireLease:
    def test_succeeds_again_when_its_response_was_lost(self, world: World) -> None:
        class Repeating:
            """A client that repeats each update, as after a lost response, and returns the second result."""

            def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — any operation of the client
                return getattr(client, operation)

            def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
                client.update_item(**arguments)
                return client.update_item(**arguments)

        client = world.store._client  # pyright: ignore[reportPrivateUsage]  # the same one
        store = Store(cast("TableClient", Repeating()), table=world.store._table, owned=SLICE)  # pyright: ignore[reportPrivateUsage]  # as above
        repeating = replace(
            worker_of(world, ScriptedModel([[TextDelta("x"), StreamEnd({Meter.TOKENS_OUT: 1})]])),
            runs=RunTable(store, TENANT, Payloads(world.documents)),
            new_lease_id=lambda: "lease_1",
        )
        run = submit(world)
        assert repeating.execute(run.run_id)
        done = world.runs.get(run.run_id)
        assert (done.status, done.attempt, done.usage[Meter.TOKENS_OUT]) == (Status.COMPLETED, 1, 1)

    @pytest.mark.parametrize("lease_id", ["", "lease_2"])
    def test_refuses_a_run_that_another_call_has_leased(self, world: World, lease_id: str) -> None:
        run = submit(world)
        assert world.runs.acquire_lease(run.run_id, now=LATER, lease_id="lease_1" if lease_id else "")
        assert world.runs.acquire_lease(run.run_id, now=LATER, lease_id=lease_id) is None

    def test_uses_a_new_lease_id_for_each_call(self, world: World) -> None:  # noqa: ARG002 — its environment
        real = consumer._worker(TENANT)  # pyright: ignore[reportPrivateUsage]  # as the function makes it
        assert len({real.new_lease_id() for _ in range(10)}) == 10
