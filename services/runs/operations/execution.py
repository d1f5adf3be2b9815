"""Executing runs: a worker's way from the lease to the end, call by call.

What a call may use is held before it is written down, and it is written down before it is sent. It ends in a fenced
write with its usage, and then its budget is settled: whatever happens in between, either the worker or the reaper says
what it took.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from services.runs.domain import lifecycle
from services.runs.domain.request import ModelRequest, compose, falling_back
from services.runs.domain.retry import TOTAL_S, TRIES_PER_MODEL, Failure, Jitter, after_failure
from services.runs.domain.run import NOTHING_USED, CallEnd, CallId, Cost, OpenCall, Outcome, Run, RunError, Status
from services.runs.domain.structure import DoesNotFit, TooComplex, repair, structured
from services.runs.errors import CancelRequested, LeaseLost, ModelWithoutPrice, ProviderFailed, StreamTruncated
from services.runs.gateways.model import Ended, Model, Stop, Text, Working
from services.runs.operations.lease import Lease
from services.runs.operations.planning import Planner, Price
from services.runs.operations.reading import Reading
from services.runs.operations.reporting import report_progress, report_start
from services.runs.operations.slots import settle_and_dispatch
from services.runs.operations.submission import Configs
from services.runs.operations.transcript import Transcript
from services.runs.table.runs import RunTable
from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable, LimitReached
from shared.failures import facts_of
from shared.meters import Meters
from shared.observability import continue_trace, logger
from shared.storage.items import Item
from shared.tenancy.context import TenantAccess

ACTIVE = "active"
"""The status of a tenant whose runs may execute."""
_SUSPENDED = frozenset({"suspended", "suspended_by_billing"})
_TRUSTED = lifecycle.LEASE / 3
"""A lease that is older is extended before anything is sent."""
_NO_LIST = "unknown"
"""The version of the price list where a price could not be calculated."""
_SHOWN = 500
"""Characters of a refusal that the run says; an item has no room for a whole answer in its error."""


class Models(Protocol):
    """The providers."""

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:
        """The request as it will be answered: by the built-in provider where there is no key and that is allowed."""
        ...

    def of(self, tenant_id: str, request: ModelRequest) -> Model:
        """The model that answers this request.

        Raises:
            ProviderFailed: it is not configured.
        """
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """Executes runs with these things."""

    runs: RunTable
    configs: Configs
    models: Models
    planner: Planner
    access: Callable[[str], TenantAccess]
    price: Price
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    jitter: Jitter
    status: Callable[[str], str] = lambda _: ACTIVE
    """The status of a tenant, known as of a moment ago."""

    def execute(self, tenant_id: str, run_id: str) -> Item | None:
        """Take a queued run and bring it to its end; does nothing for one that is leased, final or waits for a slot.

        Returns:
            The run as this has written it at last; None when somebody else has it.
        """
        item = self.runs.take(tenant_id, run_id, now=self.clock())
        return self._bring_to_its_end(item) if item else None

    def _bring_to_its_end(self, item: Item) -> Item | None:
        run = self.runs.state(item)
        continue_trace(run.trace_id)
        report_start(run, now=self.clock())
        attempt = Attempt(self, run, item, gives_up_at=self.clock() + timedelta(seconds=bounded_s(TOTAL_S)))
        try:
            return attempt.work()
        except LeaseLost:
            logger.warning("another attempt has the run", run_id=run.run_id, attempt=run.attempt)
            return None


class Attempt:
    """One attempt of a worker at a run.

    Args:
        worker: that makes it.
        run: the state of the run, leased to the worker.
        item: the whole run as it is stored.
        gives_up_at: when no further call begins.
    """

    def __init__(self, worker: Worker, run: Run, item: Item, *, gives_up_at: datetime) -> None:
        self._worker = worker
        self._run = run
        self._item = dict(item)
        self._gives_up_at = gives_up_at
        self._asked: ModelRequest | None = None
        self._models: Sequence[str] = ()
        self._failures: list[Failure] = []
        self._repaired = False
        self._in_flight: Reading | None = None
        """The call that may have been sent, until its end is written."""

    def work(self) -> Item | None:
        """Call after call, until the run has ended or waits for tools.

        Returns:
            The run as it is stored at last; None when it has been given back.

        Raises:
            LeaseLost: another attempt has the run.
            DependencyUnavailable: a call was sent, and its end cannot be written.
        """
        try:
            with Lease(self._extend) as lease:
                self._call_until_ended(lease)
        except LeaseLost:
            raise
        except DependencyUnavailable as outage:
            if self._in_flight:
                raise
            return self._return_lease(outage)
        except Exception as error:
            if self._run.status is not Status.RUNNING:
                raise
            self._end_unforeseen(error)
        return {name: value for name, value in self._item.items() if value is not None}

    def _call_until_ended(self, lease: Lease) -> None:
        status = self._worker.status(self._run.tenant_id)
        if status != ACTIVE:
            self._refuse(status)
            return
        self._run = self._worker.runs.whole(self._item)
        config = self._worker.configs.read(self._run.tenant_id, self._run.config)
        run = self._run
        self._asked = compose(config, run.inputs, turns=run.turns, max_output_tokens=run.max_output_tokens)
        self._models = (self._asked.model, *config.get("fallbacks", ()))
        request: ModelRequest | None = self._asked
        while request:
            request = self._call(request, lease)

    def _refuse(self, status: str) -> None:
        """End the run of a tenant that may not run anything; nothing was sent."""
        now = self._worker.clock()
        if status in _SUSPENDED:
            error = RunError("TenantSuspended", "The tenant was suspended before the run began.")
            self._save(lifecycle.fail(self._run, None, error, now=now))
        else:
            self._save(lifecycle.stop(self._run, None, now=now))

    def _call(self, request: ModelRequest, lease: Lease) -> ModelRequest | None:
        """Make one call; gives the next request, or None when the attempt is over."""
        try:
            call = self._begin(request)
        except CancelRequested:
            self._save(lifecycle.stop(self._run, None, now=self._worker.clock()))
            return None
        except (LimitReached, ModelWithoutPrice) as refused:
            code = "LimitReached" if isinstance(refused, LimitReached) else "ModelWithoutPrice"
            self._save(lifecycle.fail(self._run, None, RunError(code, str(refused)), now=self._worker.clock()))
            return None
        sent = replace(request, provider=call.provider, max_output_tokens=call.max_output_tokens)
        return self._after(request, self._read(replace(sent, timeout_s=self._time_for(request)), call, lease))

    def _time_for(self, request: ModelRequest) -> int:
        """What a call may take, so that the attempt does not outlive its function."""
        left_s = int((self._gives_up_at - self._worker.clock()).total_seconds())
        return min(request.timeout_s, max(left_s, 1))

    def _begin(self, request: ModelRequest) -> OpenCall:
        """Write the call down; the first one was planned with the run, and written when the run was leased.

        A lease that has grown old before anything was sent may be over, and is extended first.

        Raises:
            CancelRequested, LimitReached, ModelWithoutPrice: it must not be sent.
        """
        now, planned = self._worker.clock(), self._run.open_call
        request = self._worker.models.answering(self._run.tenant_id, request)
        if planned and planned.provider == request.provider:
            if now - self._run.attempts[-1].leased_at > _TRUSTED and self._extend():
                raise CancelRequested
            return planned
        if planned:
            call = replace(planned, provider=request.provider, simulated=request.provider == "simulated")
        else:
            call = self._plan(request, now=now)
        self._run = lifecycle.begin_call(self._run, call, now=now)
        self._worker.runs.begin_call(self._run, now=now)
        return call

    def _plan(self, request: ModelRequest, *, now: datetime) -> OpenCall:
        run = self._run
        call = CallId(run.run_id, run.attempt, len(run.attempts[-1].calls) + 1)
        access = self._worker.access(run.tenant_id)
        return self._worker.planner.plan_next(access, run, call, request, now=now).call

    def _read(self, request: ModelRequest, call: OpenCall, lease: Lease) -> Reading:
        """Send the call and read its stream to the terminal event."""
        reading = Reading(request)
        transcript = Transcript(self._worker.runs.texts, self._run, call=call.number, clock=self._worker.clock)
        try:
            model = self._worker.models.of(self._run.tenant_id, request)
            self._in_flight = reading
            with closing(model.stream(request)) as parts:
                for part in parts:
                    reading.note(part)
                    lease.check()
                    if isinstance(part, Text):
                        transcript.add(part.text)
                    elif isinstance(part, Working):
                        transcript.listen()
        except ProviderFailed as failure:
            reading.failure = failure
        except CancelRequested:
            reading.cancelled = reading.ended is None
        if reading.ended is None and not reading.cancelled and reading.failure is None:
            reading.failure = StreamTruncated()
        return reading

    def _extend(self) -> bool:
        return self._worker.runs.extend(self._run, now=self._worker.clock())

    def _return_lease(self, outage: DependencyUnavailable) -> None:
        """Give the run back, since nothing of its open call was sent: nothing is charged, no attempt is used up.

        Raises:
            LeaseLost: another attempt has the run.
            DependencyUnavailable: it cannot be written either; the lease runs out.
        """
        logger.warning("a run is given back before its call was sent", run_id=self._run.run_id, **facts_of(outage))
        now = self._worker.clock()
        try:
            after, events = lifecycle.return_lease(self._run, now=now)
            changed = self._worker.runs.save(self._run, after, events, unless_cancelled=True)
        except CancelRequested:
            after, events = lifecycle.stop(self._run, None, now=now)
            changed = self._worker.runs.save(self._run, after, events)
        self._settle(after, changed)

    def _end_unforeseen(self, error: Exception) -> None:
        """End the run with what is known of its call. To try again could cost as much and end in the same way."""
        run, reading = self._run, self._in_flight
        logger.error("a run failed unexpectedly", run_id=run.run_id, attempt=run.attempt, **facts_of(error))
        shown = RunError("InternalError", "An unexpected error ended the run. It was not tried again.")
        end = self._end(Outcome.FAILED, reading, usage_known=False, error=shown) if reading else None
        self._save(lifecycle.fail(run, end, shown, now=self._worker.clock()))

    def _after(self, request: ModelRequest, reading: Reading) -> ModelRequest | None:
        """Write the call's end; gives the next request, or None when the attempt is over."""
        now = self._worker.clock()
        if reading.cancelled:
            self._save(lifecycle.stop(self._run, self._end(Outcome.CANCELLED, reading, usage_known=False), now=now))
            return None
        if reading.failure:
            return self._after_failure(request, reading, reading.failure)
        if reading.ended and reading.ended.tool_calls:
            return self._wait_for_tools(reading, reading.ended)
        if reading.ended and reading.ended.stop is Stop.REFUSED:
            return self._fail(
                reading, RunError("ModelRefused", reading.text[:_SHOWN] or "The model refused to answer.")
            )
        if request.response_schema is not None:
            return self._check_structure(request, reading, request.response_schema)
        return self._complete(reading, {"message": reading.text})

    def _after_failure(self, request: ModelRequest, reading: Reading, failure: ProviderFailed) -> ModelRequest | None:
        self._failures.append(Failure(request.model, failure.code, failure.retry, failure.retry_after_s))
        again = after_failure(self._failures, self._models, jitter=self._worker.jitter)
        error = RunError(failure.code, str(failure))
        if again is None or (self._gives_up_at - self._worker.clock()).total_seconds() <= again.pause_s:
            return self._fail(reading, error, usage_known=failure.usage_known)
        end = self._end(Outcome.FAILED, reading, usage_known=failure.usage_known, error=error)
        if not self._go_on(end):
            return None
        self._worker.sleep(again.pause_s)
        if again.model == request.model:
            return request
        return falling_back(self._asked or request, again.model)

    def _wait_for_tools(self, reading: Reading, ended: Ended) -> None:
        turns = sum(bool(turn.tool_calls) for turn in self._run.turns)
        if turns >= lifecycle.MAX_TOOL_TURNS:
            self._fail(reading, RunError("TooManyToolTurns", "The model asked for tools more than 20 times."))
            return
        if len(ended.tool_calls) > lifecycle.MAX_TOOL_CALLS:
            self._fail(reading, RunError("TooManyToolCalls", "The model asked for more than 128 tools at once."))
            return
        end = self._end(Outcome.COMPLETED, reading)
        change = lifecycle.require_tools(self._run, end, reading.text, ended.tool_calls, now=self._worker.clock())
        self._save_unless_cancelled(change, end)

    def _check_structure(
        self, request: ModelRequest, reading: Reading, schema: Mapping[str, Any]
    ) -> ModelRequest | None:
        try:
            data = structured(reading.text, schema)
        except TooComplex as error:
            return self._fail(reading, RunError("OutputTooComplex", str(error)))
        except DoesNotFit as error:
            self._failures.append(Failure(request.model, "OutputInvalid", retry=False))
            tries = sum(failure.model == request.model for failure in self._failures)
            if self._repaired or tries >= TRIES_PER_MODEL:
                return self._fail(reading, RunError("OutputInvalid", "The answer does not fit the response schema."))
            self._repaired = True
            return repair(request, reading.text, error) if self._go_on(self._end(Outcome.COMPLETED, reading)) else None
        return self._complete(reading, {"message": reading.text, "data": data})

    def _complete(self, reading: Reading, output: Mapping[str, Any]) -> None:
        end = self._end(Outcome.COMPLETED, reading)
        self._save(lifecycle.complete(self._run, end, output, now=self._worker.clock()))

    def _fail(self, reading: Reading, error: RunError, *, usage_known: bool = True) -> None:
        end = self._end(Outcome.FAILED, reading, usage_known=usage_known, error=error)
        self._save(lifecycle.fail(self._run, end, error, now=self._worker.clock()))

    def _go_on(self, end: CallEnd) -> bool:
        """Write that the call has ended and the attempt goes on; False when the client has cancelled."""
        return self._save_unless_cancelled(lifecycle.end_call(self._run, end, now=self._worker.clock()), end)

    def _save_unless_cancelled(self, change: lifecycle.Change, end: CallEnd) -> bool:
        after, events = change
        try:
            changed = self._worker.runs.save(self._run, after, events, unless_cancelled=True)
        except CancelRequested:
            self._save(lifecycle.stop(self._run, end, now=self._worker.clock()))
            return False
        self._settle(after, changed)
        return True

    def _save(self, change: lifecycle.Change) -> None:
        after, events = change
        self._settle(after, self._worker.runs.save(self._run, after, events))

    def _settle(self, after: Run, changed: Item) -> None:
        """Give back what the call that was open has not used, now that its end is written."""
        before, self._run, self._in_flight = self._run, after, None
        self._item |= changed
        worker = self._worker
        settle_and_dispatch(worker.planner.budgets, worker.runs, before, after, now=worker.clock())
        report_progress(before, after)

    def _end(
        self, status: Outcome, reading: Reading, *, usage_known: bool = True, error: RunError | None = None
    ) -> CallEnd:
        meters = dict(reading.ended.meters if reading.ended else reading.counted)
        cost = self._cost(reading.request, meters)
        return CallEnd(status, meters, usage_known or bool(reading.ended), cost, error)

    def _cost(self, request: ModelRequest, meters: Meters) -> Cost:
        if not any(meters.values()):
            return NOTHING_USED
        try:
            cost = self._worker.price(request, meters, self._worker.clock())
        except Exception as error:  # noqa: BLE001 — what was used is counted all the same
            logger.error("a price could not be calculated", **facts_of(error))
            cost = Cost(None, _NO_LIST)
        if cost.is_missing:
            logger.warning("a model without a price", provider=request.provider, model=request.model)
        return cost
