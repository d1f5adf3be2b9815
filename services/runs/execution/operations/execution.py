"""Execution of one attempt at a run: a state machine with one transition for each step of a call.

| From | Transition | Durable write | To |
|---|---|---|---|
| `Leased` | check the tenant, read the run's documents | | `Ready`, `Closing` |
| `Ready` | plan the call | reserve its bound in the budget | `Reserved`, `Recorded`, `Closing` |
| `Reserved` | record | the run with the open call, fenced | `Recorded`, `Closing` |
| `Recorded` | find the model | | `Sent`, `Answered` |
| `Sent` | read the stream | its text and the lease, meanwhile | `Answered` |
| `Answered` | decide, see `review.py` | | `Closing` |
| `Closing` | write | the end and its usage event in one transaction, fenced | `Written`, `Closing` |
| `Written` | settle | the budget | `Ready`, `Ended` |

The order of the writes makes each call count exactly once: the bound is reserved before the call is recorded, the call
is recorded before it is sent, and its end is written before its budget is settled. So if anything fails in between,
either the worker or the reaper records the usage.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.runs.budgets.operations.slots import settle_and_dispatch
from services.runs.errors import (
    CancelRequested,
    LeaseLost,
    ModelWithoutPrice,
    ProviderFailed,
    StorageFull,
    StreamTruncated,
)
from services.runs.execution.operations import endings
from services.runs.execution.operations.call_end import call_end
from services.runs.execution.operations.dependencies import ACTIVE, WorkerDependencies
from services.runs.execution.operations.lease import Lease
from services.runs.execution.operations.reporting import report_progress
from services.runs.execution.operations.response import PartialResponse
from services.runs.execution.operations.review import CallReview, Tries, call_failed
from services.runs.execution.operations.states import (
    Answered,
    Closing,
    Ended,
    Leased,
    Ready,
    Recorded,
    Reserved,
    Sent,
    State,
    Written,
    response_in_flight,
)
from services.runs.execution.operations.transcript import Transcript
from services.runs.prompts.operations import read_config
from services.runs.providers.domain.model import StreamActivity, TextDelta
from services.runs.providers.domain.request import ModelRequest, compose
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.artifact import MAX_RESPONSE_OUTPUT_BYTES, stores_artifacts
from services.runs.runs.domain.run import CallId, OpenCall, Outcome, Run, RunError, Status
from shared.errors import DependencyUnavailable, LimitReached
from shared.failures import facts_of
from shared.freejson import encode
from shared.observability import logger
from shared.storage.items import Item
from shared.storage.objects import DocumentMissing

STORAGE_FULL = "StorageFull"
"""The error of a run whose output does not fit the plan's storage."""
_MAX_LEASE_AGE = lifecycle.LEASE / 3
"""The age above which a lease is extended before anything is sent."""


class Execution:
    """One attempt at a run.

    Args:
        worker: the worker.
        run: the state of the run, leased to the worker.
        item: the whole run as it is stored.
        gives_up_at: the time after which no further call begins.
    """

    def __init__(self, worker: WorkerDependencies, run: Run, item: Item, *, gives_up_at: datetime) -> None:
        self._worker = worker
        self._run = run
        """The run as this attempt has last written it, or is writing it."""
        self._item = dict(item)
        self._gives_up_at = gives_up_at
        self._tries = Tries()
        self._lease = Lease(self._extend)
        self._state: State = Leased()

    def work(self) -> Item | None:
        """Make calls until the run has ended or waits for tools.

        Returns:
            The run's item as it was last written; None if the lease was returned.

        Raises:
            LeaseLost: another attempt has the run.
            DependencyUnavailable: a call was sent, and its end cannot be written.
        """
        try:
            with self._lease:
                self._proceed(Leased())
        except LeaseLost:
            raise
        except DocumentMissing:
            self._proceed(endings.without_documents(self._run, now=self._worker.clock()))
        except DependencyUnavailable as outage:
            if response_in_flight(self._state):
                raise
            self._proceed(endings.lease_returned(self._run, outage, now=self._worker.clock()))
            return None
        except Exception as error:
            if self._run.status is not Status.RUNNING:
                raise
            self._proceed(self._unforeseen(error))
        return {name: value for name, value in self._item.items() if value is not None}

    def _proceed(self, state: State) -> None:
        """Take transitions from this state to the end. After an error, `_state` is the one whose transition failed."""
        self._state = state
        while not isinstance(self._state, Ended):
            self._state = self._next(self._state)

    def _next(self, state: State) -> State:  # noqa: C901 — one case for each state
        match state:
            case Leased():
                return self._admit()
            case Ready():
                return self._reserve(state)
            case Reserved():
                return self._record(state)
            case Recorded():
                return self._open(state)
            case Sent():
                return self._receive(state)
            case Answered():
                return CallReview(self._worker, self._run, self._tries, state, self._gives_up_at).decide()
            case Closing():
                return self._write(state)
            case Written():
                return self._settle(state)
            case Ended():
                return state

    def _admit(self) -> Ready | Closing:
        """Check the tenant, and read the documents of the run."""
        status = self._worker.status(self._run.tenant_id)
        if status != ACTIVE:
            return endings.refused(self._run, status, now=self._worker.clock())
        self._run = run = self._worker.runs.load(self._item)
        config = read_config(self._worker.configs, run.tenant_id, run.config, template=run.template, inputs=run.inputs)
        request = compose(
            config,
            run.inputs,
            turns=run.turns,
            parameters=run.parameters,
            max_output_tokens=run.max_output_tokens,
        )
        self._tries = Tries((request.name, *config.get("fallbacks", ())), request)
        return Ready(request)

    def _reserve(self, ready: Ready) -> Reserved | Recorded | Closing:
        """Reserve the bound of the call; the first one was reserved with the run, and recorded with the lease."""
        now, planned = self._worker.clock(), self._run.open_call
        request = self._worker.models.effective_request(self._run.tenant_id, ready.request)
        if planned and planned.provider == request.provider:
            return self._stopped() if self._is_cancelled(now) else Recorded(ready.request, planned)
        if planned:
            call = replace(planned, provider=request.provider, simulated=request.provider == "simulated")
            return Reserved(ready.request, call, now)
        try:
            return Reserved(ready.request, self._plan(request, now=now), now)
        except LimitReached as refused:
            return self._failed("LimitReached", refused)
        except ModelWithoutPrice as refused:
            return self._failed("ModelWithoutPrice", refused)

    def _record(self, reserved: Reserved) -> Recorded | Closing:
        """Store the run with the call as open, which also extends the lease."""
        self._run = lifecycle.begin_call(self._run, reserved.call, now=reserved.planned_at)
        try:
            self._worker.runs.begin_call(self._run, now=reserved.planned_at)
        except CancelRequested:
            return self._stopped()
        return Recorded(reserved.request, reserved.call)

    def _open(self, recorded: Recorded) -> Sent | Answered:
        """Find the model of the request."""
        call, run = recorded.call, self._run
        response = PartialResponse(
            replace(
                recorded.request,
                provider=call.provider,
                max_output_tokens=call.max_output_tokens,
                timeout_s=self._time_for(recorded.request),
            )
        )
        transcript = Transcript(self._worker.runs.texts, run, call=call.number, clock=self._worker.clock)
        try:
            model = self._worker.models.of(run.tenant_id, response.request)
        except ProviderFailed as failure:
            response.failure = failure
            return Answered(recorded.request, response, is_sent=False)
        return Sent(recorded.request, model, response, transcript)

    def _receive(self, sent: Sent) -> Answered:
        """Send the call and read its stream to the terminal event."""
        response = sent.response
        try:
            self._read(sent)
        except ProviderFailed as failure:
            response.failure = failure
        except CancelRequested:
            response.cancelled = response.ended is None
        if response.ended is None and not response.cancelled and response.failure is None:
            response.failure = StreamTruncated()
        return Answered(sent.request, response)

    def _write(self, ending: Closing) -> Written | Closing:
        """Write the change, fenced by the attempt; a cancellation or full storage leads to another change."""
        after, events = ending.change
        worker, before, storage_gb = self._worker, self._run, None
        if stores_artifacts(events):
            storage_gb = worker.access(before.tenant_id).allowance.storage_gb
        try:
            changed = worker.runs.save(
                before, after, events, unless_cancelled=ending.unless_cancelled, storage_gb=storage_gb
            )
        except CancelRequested:
            if not ending.unless_cancelled:
                raise
            change = lifecycle.finish_cancellation(before, ending.end, now=worker.clock())
            return Closing(change=change, end=ending.end, answer=ending.answer)
        except StorageFull as full:
            if ending.answer is None or not ending.stores_answer:
                raise
            error = RunError(STORAGE_FULL, str(full))
            return replace(call_failed(worker, before, ending.answer, error), output=ending.output)
        self._run = after
        self._item |= changed
        if after.status is Status.FAILED and ending.output is not None:
            self._return_unstored(ending.output)
        return Written(before, ending.further)

    def _settle(self, written: Written) -> Ready | Ended:
        """Settle the call that was open, and start a waiting run in a freed slot."""
        worker, before, after = self._worker, written.before, self._run
        settle_and_dispatch(worker.planner.budgets, worker.runs, before, after, now=worker.clock())
        report_progress(before, after)
        if written.further is None:
            return Ended()
        if written.further.pause_s is not None:
            worker.sleep(written.further.pause_s)
        return Ready(written.further.request)

    def _plan(self, request: ModelRequest, *, now: datetime) -> OpenCall:
        run = self._run
        call = CallId(run.run_id, run.attempt, len(run.attempts[-1].calls) + 1)
        access = self._worker.access(run.tenant_id)
        return self._worker.planner.plan_next(access, run, call, request, now=now).call

    def _is_cancelled(self, now: datetime) -> bool:
        """Extend a lease that may have expired, and return whether the client has cancelled meanwhile."""
        return now - self._run.attempts[-1].leased_at > _MAX_LEASE_AGE and self._extend()

    def _extend(self) -> bool:
        return self._worker.runs.extend(self._run, now=self._worker.clock())

    def _time_for(self, request: ModelRequest) -> int:
        """Return the timeout of a call in seconds, so that the attempt does not outlive its function."""
        left_s = int((self._gives_up_at - self._worker.clock()).total_seconds())
        return min(request.timeout_s, max(left_s, 1))

    def _read(self, sent: Sent) -> None:
        with closing(sent.model.stream(sent.response.request)) as parts:
            for part in parts:
                sent.response.add(part)
                self._lease.check()
                if isinstance(part, TextDelta):
                    sent.transcript.add(part.text)
                elif isinstance(part, StreamActivity):
                    sent.transcript.poll_cancellation()

    def _return_unstored(self, output: Mapping[str, Any]) -> None:
        """Return an output that is not stored to the client of a waited run."""
        encoded = encode(output)
        if len(encoded) <= MAX_RESPONSE_OUTPUT_BYTES:
            self._item["output"] = {"json": encoded.decode()}

    def _stopped(self) -> Closing:
        return endings.stopped(self._run, now=self._worker.clock())

    def _failed(self, code: str, refused: Exception) -> Closing:
        return endings.failed(self._run, RunError(code, str(refused)), now=self._worker.clock())

    def _unforeseen(self, error: Exception) -> Closing:
        """Fail the run with the known usage of its call, if one was sent."""
        run, response = self._run, response_in_flight(self._state)
        logger.error("a run failed unexpectedly", run_id=run.run_id, attempt=run.attempt, **facts_of(error))
        shown = endings.INTERNAL_ERROR
        end = call_end(self._worker, response, Outcome.FAILED, usage_known=False, error=shown) if response else None
        return endings.unforeseen(run, end, now=self._worker.clock())
