"""A run as a trace: spans with the attributes of OpenTelemetry's conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.runs.history.domain.log import NAME_CHARS
from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.run import Attempt, Call, FinishReason, Outcome, Run
from shared.meters import Meter, Meters

_PROVIDERS = {"bedrock": "aws.bedrock"}
"""Providers with another name in the conventions."""
_USAGE = {
    Meter.TOKENS_IN: "gen_ai.usage.input_tokens",
    Meter.TOKENS_OUT: "gen_ai.usage.output_tokens",
    Meter.TOKENS_CACHE_READ: "gen_ai.usage.cache_read.input_tokens",
    Meter.TOKENS_CACHE_WRITE: "gen_ai.usage.cache_creation.input_tokens",
    Meter.TOKENS_CACHE_WRITE_1H: "ainexus.usage.cache_creation_1h.input_tokens",
    Meter.TOKENS_REASONING: "gen_ai.usage.reasoning.output_tokens",
    Meter.TOKENS_UNCERTAIN: "ainexus.usage.uncertain_tokens",
}
Attributes = Mapping[str, str | int | bool | list[str]]


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """A time span within a run."""

    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    """`internal`, or `client` for a call to a provider."""
    started_at: datetime
    ended_at: datetime | None
    """None: it has not ended."""
    failed: bool = False
    attributes: Attributes = field(default_factory=dict[str, str | int | bool | list[str]])


def trace_id(run: Run) -> str:
    """Return the trace id as 32 hex digits: the caller's trace, or one derived from the run's id."""
    given = run.trace_id.removeprefix("1-").replace("-", "")
    return given or hashlib.sha256(run.run_id.encode()).hexdigest()[:32]


def spans(run: Run) -> list[TraceSpan]:
    """Return the span of the run, followed by its child spans: waits, calls and tools."""
    return [_root_span(run), *_waits(run), *_calls(run), *_tools(run)]


def _root_span(run: Run) -> TraceSpan:
    attributes: dict[str, str | int | bool | list[str]] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": run.agent_id,
        "gen_ai.agent.version": str(run.version),
        "ainexus.run.id": run.run_id,
        **_finish_reasons(run.finish_reason),
        # The spans of the calls have usage and cost, which viewers sum over all spans.
        **({"error.type": run.error.code} if run.error else {}),
    }
    return TraceSpan(
        span_id=_span_id(run, "run"),
        parent_span_id=None,
        name=f"invoke_agent {run.agent_id}",
        kind="internal",
        started_at=run.created_at,
        ended_at=run.ended_at,
        failed=run.error is not None,
        attributes=attributes,
    )


def _waits(run: Run) -> Iterator[TraceSpan]:
    for number, queued_at in enumerate(run.queued_at, start=1):
        leased_at = run.attempts[number - 1].leased_at if number <= run.attempt else run.ended_at
        yield _below(run, f"queue:{number}", "queue", queued_at, leased_at, attributes={"ainexus.attempt": number})


def _calls(run: Run) -> Iterator[TraceSpan]:
    for number, attempt in enumerate(run.attempts, start=1):
        for call in attempt.calls:
            yield _below(
                run,
                f"call:{number}:{call.number}",
                f"chat {call.model}",
                call.started_at,
                call.ended_at,
                kind="client",
                failed=call.status not in {Outcome.COMPLETED, Outcome.CANCELLED},
                attributes=_of_call(number, call),
            )
    if run.open_call and run.call_started_at:
        call = run.open_call
        attributes = {
            **_request_attributes(call.provider, call.model),
            "ainexus.attempt": run.attempt,
            "ainexus.call": call.number,
        }
        name = f"call:{run.attempt}:{call.number}"
        yield _below(run, name, f"chat {call.model}", run.call_started_at, None, kind="client", attributes=attributes)


def _of_call(attempt: int, call: Call) -> Attributes:
    return {
        **_request_attributes(call.provider, call.model),
        "ainexus.attempt": attempt,
        "ainexus.call": call.number,
        "ainexus.simulated": call.simulated,
        **_usage(call.meters),
        **({"ainexus.usage.estimated": True} if call.usage_estimated else {}),
        **_cost(call.cost_nano_usd),
        **_finish_reasons(call.finish_reason),
        **({"error.type": call.error_code} if call.error_code else {}),
    }


def _tools(run: Run) -> Iterator[TraceSpan]:
    """Return the spans of the tools that the client executed, from the request until all outputs arrived."""
    asking = [turn for turn in run.turns if turn.tool_calls]
    waiting = [
        (number, attempt)
        for number, attempt in enumerate(run.attempts, start=1)
        if attempt.outcome is Outcome.REQUIRES_ACTION
    ]
    for (number, attempt), turn in zip(waiting, asking, strict=True):
        answered_at = run.queued_at[number] if number < len(run.queued_at) else run.ended_at
        yield from _tools_of(run, number, attempt, turn, answered_at)


def _tools_of(
    run: Run, number: int, attempt: Attempt, turn: Message, answered_at: datetime | None
) -> Iterator[TraceSpan]:
    for call in turn.tool_calls:
        tool_name = call.name[:NAME_CHARS]
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool_name,
            "gen_ai.tool.call.id": call.id[:NAME_CHARS],
            "gen_ai.tool.type": "function",
        }
        name = f"tool:{number}:{call.id}"
        asked_at = attempt.ended_at or attempt.leased_at
        yield _below(run, name, f"execute_tool {tool_name}", asked_at, answered_at, attributes=attributes)


def _below(
    run: Run,
    what: str,
    name: str,
    started_at: datetime,
    ended_at: datetime | None,
    *,
    attributes: Attributes,
    kind: str = "internal",
    failed: bool = False,
) -> TraceSpan:
    parent = _span_id(run, "run")
    return TraceSpan(_span_id(run, what), parent, name, kind, started_at, ended_at, failed, attributes)


def _request_attributes(provider: str, model: str) -> dict[str, str]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
    }


def _usage(meters: Meters) -> dict[str, int]:
    return {name: meters[meter] for meter, name in _USAGE.items() if meter in meters}


def _cost(nano_usd: int | None) -> dict[str, int]:
    return {} if nano_usd is None else {"ainexus.cost_nano_usd": nano_usd}


def _finish_reasons(reason: FinishReason | None) -> dict[str, list[str]]:
    """Return the attribute, which is a list because the conventions allow several answers of one call."""
    return {"gen_ai.response.finish_reasons": [reason.value]} if reason else {}


def _span_id(run: Run, what: str) -> str:
    return hashlib.sha256(f"{run.run_id}:{what}".encode()).hexdigest()[:16]
