"""Conversion of attempts, calls and turns to and from parts of a run's item."""

from collections.abc import Mapping
from typing import Any

from services.runs.runs.domain.conversation import Message, ProviderState, ToolCall
from services.runs.runs.domain.run import Attempt, Call, FinishReason, LimitedBy, OpenCall, Outcome
from shared.meters import Meter
from shared.storage.items import Reader, Value
from shared.times import from_text, to_text


def attempt_to_item(attempt: Attempt, *, with_calls: bool = True) -> dict[str, Value]:
    """Return the part of an attempt, without calls if they are stored beside the run."""
    item: dict[str, Value] = {
        "outcome": attempt.outcome,
        "leased_at": to_text(attempt.leased_at),
        "calls": [call_to_item(call) for call in attempt.calls] if with_calls else [],
    }
    return item | ({"ended_at": to_text(attempt.ended_at)} if attempt.ended_at else {})


def attempt_from_item(reader: Reader) -> Attempt:
    """Return the attempt in this part."""
    ended_at = reader.optional_text("ended_at")
    return Attempt(
        outcome=Outcome(reader.text("outcome")),
        leased_at=from_text(reader.text("leased_at")),
        ended_at=from_text(ended_at) if ended_at else None,
        calls=calls_from_item(reader),
    )


def calls_from_item(reader: Reader) -> tuple[Call, ...]:
    """Return the ended calls in the part of an attempt, or in the item with its moved calls."""
    return tuple(_call_from_item(call) for call in reader.maps("calls"))


def open_call_to_item(call: OpenCall) -> dict[str, Value]:
    """Return the part of an open call."""
    return {
        "number": call.number,
        "provider": call.provider,
        "model": call.model,
        "simulated": call.simulated,
        "bound_tokens": call.bound_tokens,
        "max_output_tokens": call.max_output_tokens,
        "period": call.period,
        "bound_nano_usd": call.bound_nano_usd,
        "limited_by": call.limited_by,
    }


def open_call_from_item(reader: Reader) -> OpenCall:
    """Return the open call in this part."""
    return OpenCall(
        number=reader.integer("number"),
        provider=reader.text("provider"),
        model=reader.text("model"),
        simulated=reader.flag("simulated"),
        bound_tokens=reader.integer("bound_tokens"),
        max_output_tokens=reader.integer("max_output_tokens"),
        period=reader.text("period"),
        bound_nano_usd=reader.optional_integer("bound_nano_usd"),
        limited_by=_limited_by(reader),
    )


def turns_from_payload(payload: Mapping[str, Any] | None) -> tuple[Message, ...]:
    """Return the turns in this payload."""
    return tuple(
        Message(
            role=turn["role"],
            content=turn["content"],
            tool_calls=tuple(ToolCall(**call) for call in turn["tool_calls"]),
            tool_call_id=turn["tool_call_id"],
            state=ProviderState(**turn["state"]) if "state" in turn else None,
        )
        for turn in (payload or {}).get("turns", ())
    )


def call_to_item(call: Call) -> dict[str, Value]:
    """Return the part of an ended call."""
    item: dict[str, Value] = {
        "number": call.number,
        "provider": call.provider,
        "model": call.model,
        "simulated": call.simulated,
        "status": call.status,
        "meters": {meter.value: amount for meter, amount in call.meters.items()},
        "cost_nano_usd": call.cost_nano_usd,
        "price_version": call.price_version,
        "error_code": call.error_code,
        "period": call.period,
        "started_at": to_text(call.started_at),
        "ended_at": to_text(call.ended_at),
        "bound_nano_usd": call.bound_nano_usd,
        "limited_by": call.limited_by,
        "omitted": list(call.omitted) or None,
        "finish_reason": call.finish_reason,
        "usage_estimated": call.usage_estimated or None,
    }
    return {name: value for name, value in item.items() if value is not None}


def _call_from_item(reader: Reader) -> Call:
    return Call(
        number=reader.integer("number"),
        provider=reader.text("provider"),
        model=reader.text("model"),
        simulated=reader.flag("simulated"),
        status=Outcome(reader.text("status")),
        meters={Meter(name): amount for name, amount in reader.integers("meters").items()},
        cost_nano_usd=reader.optional_integer("cost_nano_usd"),
        price_version=reader.optional_text("price_version"),
        error_code=reader.optional_text("error_code"),
        period=reader.text("period"),
        started_at=from_text(reader.text("started_at")),
        ended_at=from_text(reader.text("ended_at")),
        bound_nano_usd=reader.optional_integer("bound_nano_usd"),
        limited_by=_limited_by(reader),
        omitted=reader.texts("omitted"),
        finish_reason=_finish_reason(reader),
        usage_estimated=reader.flag("usage_estimated"),
    )


def _finish_reason(reader: Reader) -> FinishReason | None:
    name = reader.optional_text("finish_reason")
    return FinishReason(name) if name else None


def _limited_by(reader: Reader) -> LimitedBy | None:
    name = reader.optional_text("limited_by")
    return LimitedBy(name) if name else None
