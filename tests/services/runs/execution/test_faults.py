"""Runs with faults outside of the model: unexpected errors and outages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.budgets.domain import Spent
from services.runs.execution.operations.cancel import cancel_run
from services.runs.providers.domain.model import Model, TextDelta, UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.lifecycle import QUEUED_DUE
from services.runs.runs.domain.run import Outcome, Run, Status
from services.runs.runs.table.runs import RunTable
from shared.aws.clients import own_client
from shared.document_ref import DocumentRef
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.meters import Meter
from shared.storage.items import Item
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from tests.services.runs.budgets.fixtures import ANSWER, BUSY, LIMIT, bound_of, budget_of, left_of, limit
from tests.services.runs.conftest import World
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, due_runs, execute, outbox, reaped, submit, worker_of
from tests.tables import BUCKET


def fail_unexpectedly() -> None:
    raise ZeroDivisionError


class TestMissingDocument:
    def test_ends_the_run_before_anything_is_sent(self, world: World) -> None:
        run = submit(world, message="x" * 100_000)
        world.documents.delete_below(TENANT, f"runs/{run.run_id}")
        worker_of(world, ScriptedModel([])).execute(run.run_id)
        state = world.runs.states([run.run_id])[run.run_id]
        assert state.error is not None
        assert (state.status, state.error.code, state.calls) == (Status.FAILED, "DocumentMissing", ())
        assert (budget_of(world).open, budget_of(world).spent) == ({}, Spent(0, 0))


class TestUnexpectedError:
    def test_ends_the_run_with_the_known_usage_of_its_call(self, world: World) -> None:
        class Full(RunTable):
            """A run table that refuses the output as too large."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                if after.output:
                    raise ValueError(after.output)
                return super().save(before, after, events, **options)

        limit(world)
        run = submit(world)
        table = Full(world.store, TENANT, world.runs.payloads)
        execute(replace(world, runs=table), run, ScriptedModel([ANSWER]))
        done = world.runs.get(run.run_id)
        assert done.error is not None
        assert (done.status, done.error.code, done.attempt, len(done.calls)) == (Status.FAILED, "InternalError", 1, 1)
        assert done.attempts[0].usage_certain
        assert (done.usage[Meter.TOKENS_OUT], left_of(world)) == (2, Spent(99, LIMIT - 9))
        assert done.cost_nano_usd == 1_000

    def test_counts_the_rest_of_a_streamed_call_as_uncertain(self, world: World) -> None:
        limit(world)
        run = submit(world)
        models = ScriptedModel([[UsageUpdate({Meter.TOKENS_IN: 7}), TextDelta("x"), fail_unexpectedly]])
        done = execute(world, run, models)
        assert done.error is not None
        assert (done.error.code, done.usage[Meter.TOKENS_IN], models.closed) == ("InternalError", 7, 1)
        assert done.usage[Meter.TOKENS_UNCERTAIN] == bound_of(run) - 7 - done.usage[Meter.TOKENS_OUT]
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_is_not_retried(self, world: World) -> None:
        run = submit(world)
        models = ScriptedModel([[fail_unexpectedly]] * 3)
        execute(world, run, models)
        assert (len(models.requests), due_runs(world, now=LATER + timedelta(days=1))) == (1, [])
        assert execute(world, run, models).attempt == 1
        assert outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:1:failed", f"{run.run_id}:queued:1"]

    def test_costs_nothing_before_anything_was_sent(self, world: World) -> None:
        class Broken(ScriptedModel):
            """A model that raises an unexpected error."""

            def of(self, tenant_id: str, request: ModelRequest) -> Model:
                raise KeyError(tenant_id, request)

        limit(world)
        done = execute(world, submit(world), Broken([]))
        assert done.error is not None
        assert (done.error.code, done.calls, left_of(world)) == ("InternalError", (), Spent(100, LIMIT))
        assert budget_of(world).open == {}

    def test_ends_the_run_when_stored_data_is_invalid(self, world: World) -> None:
        class Odd:
            """An invalid config."""

            def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:  # noqa: ARG002 — as for all
                """Return an empty config."""
                return {}

        run = submit(world)
        replace(worker_of(world, ScriptedModel([])), configs=Odd()).execute(run.run_id)
        done = world.runs.get(run.run_id)
        assert done.error is not None
        assert (done.status, done.error.code, done.inputs) == (Status.FAILED, "InternalError", run.inputs)

    def test_leaves_the_cost_unknown_and_raises_the_alarm_when_pricing_fails(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        def price(*_: object) -> Any:  # noqa: ANN401 — it gives nothing
            raise ZeroDivisionError

        run = submit(world)
        done = execute(world, run, ScriptedModel([ANSWER]), price=price)
        assert (done.status, done.cost_nano_usd, done.usage[Meter.TOKENS_OUT]) == (Status.COMPLETED, None, 2)
        lines = [vars(record) for record in caplog.records if record.getMessage() == "call ended"]
        assert [line["UnpricedCalls"] for line in lines] == [1]

    def test_logs_its_location_without_any_text(
        self, world: World, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        def fail() -> None:
            msg = "a secret"
            raise ValueError(msg)

        run = submit(world)
        execute(world, run, ScriptedModel([[fail]]))
        [line] = [line for line in log_lines() if line["message"] == "a run failed unexpectedly"]
        assert (line["run_id"], line["error"]) == (run.run_id, "ValueError")
        assert "a secret" not in str(line)


class Down:
    """A bucket that fails."""

    def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:  # noqa: ARG002 — as for all
        """Nothing."""
        raise DependencyUnavailable("The document store is unavailable. Try again.")  # noqa: EM101 — a test's own


class TestOutage:
    def _execute_without_bucket(self, world: World, run: Run) -> Run:
        replace(worker_of(world, ScriptedModel([])), configs=Down()).execute(run.run_id)
        return world.runs.get(run.run_id)

    def test_before_sending_releases_the_lease_without_charge(self, world: World) -> None:
        limit(world)
        run = submit(world)
        back = self._execute_without_bucket(world, run)
        assert (back.status, back.attempts, back.started_at) == (Status.QUEUED, (), None)
        assert (back.open_call, left_of(world)) == (run.open_call, Spent(99, LIMIT - bound_of(run)))
        assert outbox(world) == [f"{run.run_id}:queued:1"]

    def test_delays_retries_exponentially(self, world: World) -> None:
        run, now = submit(world), LATER
        for number in range(3):
            self._execute_without_bucket(world, run)
            pause = QUEUED_DUE * 2**number
            assert reaped(world, now=now + pause - timedelta(seconds=1)) == 0
            assert reaped(world, now=now + pause) == 1
        done = execute(world, run, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)

    def test_while_reading_large_inputs_releases_the_lease(self, world: World) -> None:
        run = submit(world, message="x" * 100_000)

        class Silent(Artifacts):
            """A bucket that fails."""

            def read(self, tenant_id: str, stored: DocumentRef) -> Any:  # noqa: ANN401, ARG002 — as the real one
                raise DependencyUnavailable("The bucket does not answer.")  # noqa: EM101 — a test's own

        table = RunTable(world.store, TENANT, Payloads(Silent(own_client("s3"), bucket=BUCKET)))
        replace(worker_of(world, ScriptedModel([])), runs=table).execute(run.run_id)
        item = world.store.get(world.runs.key(run.run_id))
        assert item is not None
        assert (item["status"], item["attempts"]) == ("queued", [])

    def test_while_reading_keys_releases_the_lease(self, world: World) -> None:
        class Locked(ScriptedModel):
            """A provider whose key cannot be read."""

            def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — as for all
                raise DependencyUnavailable("The secrets do not answer.")  # noqa: EM101 — a test's own

        limit(world)
        run = submit(world)
        back = execute(world, run, Locked([]))
        assert (back.status, back.attempts) == (Status.QUEUED, ())
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_between_calls_counts_as_a_lost_attempt_without_uncertainty(self, world: World) -> None:
        def no_copy(tenant_id: str) -> None:
            raise DependencyUnavailable(tenant_id)

        limit(world)
        run = submit(world)
        back = execute(world, run, ScriptedModel([[BUSY]]), on_access=no_copy)
        assert (back.status, [attempt.outcome for attempt in back.attempts]) == (Status.QUEUED, [Outcome.LOST])
        assert (back.attempts[0].usage_certain, left_of(world)) == (True, Spent(99, LIMIT))
        done = execute(world, run, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt) == (Status.COMPLETED, 2)

    def test_ends_a_run_that_was_cancelled_meanwhile(self, world: World) -> None:
        limit(world)
        run = submit(world)

        class Late(Down):
            """A bucket that fails while the client cancels."""

            def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:
                cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)
                return super().read(tenant_id, stored)

        replace(worker_of(world, ScriptedModel([])), configs=Late()).execute(run.run_id)
        done = world.runs.get(run.run_id)
        assert (done.status, done.calls, left_of(world)) == (Status.CANCELLED, (), Spent(100, LIMIT))

    def test_after_sending_leaves_the_bound_uncertain(self, world: World) -> None:
        limit(world)
        run = submit(world)

        class Deaf(RunTable):
            """A run table that fails to write the end of a call."""

            def save(self, *_: object, **__: object) -> Any:  # noqa: ANN401 — it gives nothing
                raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — a test's own

        table = Deaf(world.store, TENANT, world.runs.payloads)
        with pytest.raises(DependencyUnavailable):
            replace(worker_of(world, ScriptedModel([ANSWER])), runs=table).execute(run.run_id)
        assert reaped(world, now=LATER + timedelta(seconds=31)) == 1
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
