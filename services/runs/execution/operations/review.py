"""The decision after a call: complete the run, wait for tools, try again, or fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.runs.errors import ProviderFailed
from services.runs.execution.domain.retry import MAX_CALLS_PER_MODEL, CallFailure, after_failure
from services.runs.execution.domain.structured_output import (
    OutputTooComplex,
    SchemaMismatch,
    parse_structured,
    repair_request,
)
from services.runs.execution.operations.call_end import call_end
from services.runs.execution.operations.dependencies import WorkerDependencies
from services.runs.execution.operations.response import PartialResponse
from services.runs.execution.operations.states import Answered, Closing, FurtherCall
from services.runs.providers.domain.model import StopReason, StreamEnd
from services.runs.providers.domain.request import ModelRequest, fallback_request
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import CallEnd, Outcome, Run, RunError

_REFUSAL_CHARS = 500
"""The maximum length, in characters, of a refusal in the run's error; an item has no room for a whole answer."""


@dataclass(slots=True)
class Tries:
    """The calls of this turn in this attempt that did not succeed."""

    models: Sequence[str] = ()
    """The agent's model and its fallbacks, in their order."""
    first_request: ModelRequest | None = None
    """The request without repairs, from which a fallback starts."""
    failures: list[CallFailure] = field(default_factory=list[CallFailure])
    repaired: bool = False

    def of_model(self, model: str) -> int:
        """Return the number of failed calls of a model."""
        return sum(failure.model == model for failure in self.failures)


@dataclass(frozen=True, slots=True)
class CallReview:
    """The decision about one call."""

    worker: WorkerDependencies
    run: Run
    tries: Tries
    answer: Answered
    gives_up_at: datetime

    def decide(self) -> Closing:
        """Return the change that ends the call."""
        response, request = self.answer.response, self.answer.request
        ended = response.ended
        if response.cancelled:
            end = call_end(self.worker, response, Outcome.CANCELLED, usage_known=False)
            return self._closing(lifecycle.finish_cancellation(self.run, end, now=self._now), end)
        if response.failure:
            return self._after_failure(request, response.failure)
        if ended and ended.tool_calls:
            return self._wait_for_tools(ended)
        if ended and ended.stop is StopReason.REFUSED:
            message = response.text[:_REFUSAL_CHARS] or "The model refused to answer."
            return self._fail(RunError("ModelRefused", message))
        if request.response_schema is not None:
            return self._check_structure(request, request.response_schema)
        return self._complete({"message": response.text})

    def _after_failure(self, request: ModelRequest, failure: ProviderFailed) -> Closing:
        self.tries.failures.append(CallFailure(request.name, failure.code, failure.retry, failure.retry_after_s))
        error = RunError(failure.code, str(failure))
        again = after_failure(self.tries.failures, self.tries.models, jitter=self.worker.jitter)
        if again is None or (self.gives_up_at - self._now).total_seconds() <= again.pause_s:
            return self._fail(error, usage_known=failure.usage_known)
        end = call_end(self.worker, self._response, Outcome.FAILED, usage_known=failure.usage_known, error=error)
        if again.model == request.name:
            return self._continue(end, FurtherCall(request, again.pause_s))
        base = self.tries.first_request or request
        return self._continue(end, FurtherCall(fallback_request(base, again.model), again.pause_s))

    def _wait_for_tools(self, ended: StreamEnd) -> Closing:
        text = self._response.text
        refusal = lifecycle.tools_refusal(self.run.turns, text, ended.tool_calls, ended.state)
        if refusal:
            return self._fail(refusal)
        end = call_end(self.worker, self._response, Outcome.COMPLETED)
        change = lifecycle.require_tools(self.run, end, text, ended.tool_calls, state=ended.state, now=self._now)
        return self._closing(change, end, unless_cancelled=True, stores_answer=True)

    def _check_structure(self, request: ModelRequest, schema: Mapping[str, Any]) -> Closing:
        text = self._response.text
        try:
            data = parse_structured(text, schema)
        except OutputTooComplex as error:
            return self._fail(RunError("OutputTooComplex", str(error), self._response.invalid_output(error)))
        except SchemaMismatch as error:
            self.tries.failures.append(CallFailure(request.name, "OutputInvalid", retry=False))
            if self.tries.repaired or self.tries.of_model(request.name) >= MAX_CALLS_PER_MODEL:
                message = "The answer does not fit the response schema."
                return self._fail(RunError("OutputInvalid", message, self._response.invalid_output(error)))
            self.tries.repaired = True
            end = call_end(self.worker, self._response, Outcome.COMPLETED)
            return self._continue(end, FurtherCall(repair_request(request, text, error)))
        return self._complete({"message": text, "data": data})

    def _complete(self, output: Mapping[str, Any]) -> Closing:
        end = call_end(self.worker, self._response, Outcome.COMPLETED)
        change = lifecycle.complete(self.run, end, output, now=self._now)
        return self._closing(change, end, stores_answer=True, output=output)

    def _fail(self, error: RunError, *, usage_known: bool = True) -> Closing:
        return call_failed(self.worker, self.run, self.answer, error, usage_known=usage_known)

    def _continue(self, end: CallEnd, further: FurtherCall) -> Closing:
        """End the call and continue the attempt, unless the client has cancelled."""
        change = lifecycle.end_call(self.run, end, now=self._now)
        return self._closing(change, end, unless_cancelled=True, further=further)

    def _closing(
        self,
        change: lifecycle.Change,
        end: CallEnd,
        *,
        unless_cancelled: bool = False,
        stores_answer: bool = False,
        output: Mapping[str, Any] | None = None,
        further: FurtherCall | None = None,
    ) -> Closing:
        return Closing(
            change=change,
            end=end,
            answer=self.answer,
            unless_cancelled=unless_cancelled,
            stores_answer=stores_answer,
            output=output,
            further=further,
        )

    @property
    def _response(self) -> PartialResponse:
        return self.answer.response

    @property
    def _now(self) -> datetime:
        return self.worker.clock()


def call_failed(
    worker: WorkerDependencies, run: Run, answer: Answered, error: RunError, *, usage_known: bool = True
) -> Closing:
    """End the run with this error, or as cancelled when the client has cancelled it meanwhile."""
    end = call_end(worker, answer.response, Outcome.FAILED, usage_known=usage_known, error=error)
    change = lifecycle.fail(run, end, error, now=worker.clock())
    return Closing(change=change, end=end, answer=answer, unless_cancelled=True)
