"""Runs as items, and back."""

from datetime import datetime
from typing import Any

from services.runs.domain.run import Attempt, Call, Outcome, PlannedCall, Run, RunError, Status
from services.runs.table import SLICE
from shared.meters import Meter
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.payloads import Payload, Payloads
from shared.stored import Stored
from shared.times import from_text, to_text

DUE = SLICE.due_key("RUN")


def run_key(tenant_id: str, run_id: str) -> Key:
    """Where a run lies."""
    return Key(SLICE.key(tenant_id, "RUN", run_id), "RUN")


def list_key(tenant_id: str) -> str:
    """The partition of the `list` index that holds the tenant's runs."""
    return SLICE.key(tenant_id, "LIST")


def due_place(due_at: datetime, run_id: str) -> str:
    """Where a run stands among those that the reaper looks at."""
    return f"{to_text(due_at)}#{run_id}"


def run_to_item(run: Run, payloads: Payloads) -> dict[str, Value]:
    """The run as it is stored."""

    def pack(name: str, payload: Payload) -> dict[str, Value]:
        return payloads.pack(run.tenant_id, f"runs/{run.run_id}/{name}.json", payload)

    item: dict[str, Value] = {
        **run_key(run.tenant_id, run.run_id).attributes,
        "list_pk": list_key(run.tenant_id),
        "list_sk": run.run_id,
        "run_id": run.run_id,
        "tenant_id": run.tenant_id,
        "status": run.status,
        "agent_id": run.agent_id,
        "version": run.version,
        "project_id": run.project_id,
        "config": {"key": run.config.key, "sha256": run.config.sha256},
        "inputs": pack("inputs", run.inputs),
        "metadata": pack("metadata", run.metadata),
        "output": pack("output", run.output) if run.output is not None else None,
        "first_call": {
            "provider": run.first_call.provider,
            "model": run.first_call.model,
            "simulated": run.first_call.simulated,
            "bound_tokens": run.first_call.bound_tokens,
            "max_output_tokens": run.first_call.max_output_tokens,
        },
        "request_id": run.request_id,
        "seq": run.seq,
        "attempt": run.attempt,
        "attempts": [_attempt_to_item(attempt) for attempt in run.attempts],
        "error": {"code": run.error.code, "message": run.error.message} if run.error else None,
        "call_started_at": _text(run.call_started_at),
        "created_at": to_text(run.created_at),
        "started_at": _text(run.started_at),
        "ended_at": _text(run.ended_at),
    }
    if run.due_at:
        item |= {"due_pk": DUE, "due_sk": due_place(run.due_at, run.run_id), "due_at": to_text(run.due_at)}
    return {name: value for name, value in item.items() if value is not None}


def run_from_item(item: Item, payloads: Payloads) -> Run:
    """The run in this item."""
    reader = Reader(item)
    tenant_id = reader.text("tenant_id")

    def unpack(name: str) -> dict[str, Any]:
        return payloads.unpack(tenant_id, reader.map(name))

    config, call = reader.map("config"), reader.map("first_call")
    error = reader.map("error") if item.get("error") else None
    return Run(
        run_id=reader.text("run_id"),
        tenant_id=tenant_id,
        status=Status(reader.text("status")),
        agent_id=reader.text("agent_id"),
        version=reader.integer("version"),
        project_id=reader.optional_text("project_id"),
        config=Stored(config.text("key"), config.text("sha256")),
        inputs=unpack("inputs"),
        metadata=unpack("metadata"),
        output=unpack("output") if item.get("output") else None,
        first_call=PlannedCall(
            provider=call.text("provider"),
            model=call.text("model"),
            simulated=call.flag("simulated"),
            bound_tokens=call.integer("bound_tokens"),
            max_output_tokens=call.integer("max_output_tokens"),
        ),
        request_id=reader.text("request_id"),
        seq=reader.integer("seq"),
        attempt=reader.integer("attempt"),
        attempts=tuple(_attempt_from_item(attempt) for attempt in reader.maps("attempts")),
        error=RunError(error.text("code"), error.text("message")) if error else None,
        call_started_at=_time(reader, "call_started_at"),
        created_at=from_text(reader.text("created_at")),
        due_at=_time(reader, "due_at"),
        started_at=_time(reader, "started_at"),
        ended_at=_time(reader, "ended_at"),
    )


def _attempt_to_item(attempt: Attempt) -> dict[str, Value]:
    calls = [_call_to_item(call) for call in attempt.calls]
    return {"attempt": attempt.attempt, "outcome": attempt.outcome, "calls": calls}


def _attempt_from_item(reader: Reader) -> Attempt:
    calls = tuple(_call_from_item(call) for call in reader.maps("calls"))
    return Attempt(reader.integer("attempt"), Outcome(reader.text("outcome")), calls)


def _call_to_item(call: Call) -> dict[str, Value]:
    return {
        "attempt": call.attempt,
        "call": call.call,
        "provider": call.provider,
        "model": call.model,
        "simulated": call.simulated,
        "status": call.status,
        "meters": {meter.value: amount for meter, amount in call.meters.items()},
        "cost_nano_usd": call.cost_nano_usd,
        "started_at": to_text(call.started_at),
        "ended_at": to_text(call.ended_at),
    }


def _call_from_item(reader: Reader) -> Call:
    return Call(
        attempt=reader.integer("attempt"),
        call=reader.integer("call"),
        provider=reader.text("provider"),
        model=reader.text("model"),
        simulated=reader.flag("simulated"),
        status=Outcome(reader.text("status")),
        meters={Meter(name): amount for name, amount in reader.integers("meters").items()},
        cost_nano_usd=reader.optional_integer("cost_nano_usd"),
        started_at=from_text(reader.text("started_at")),
        ended_at=from_text(reader.text("ended_at")),
    )


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _time(reader: Reader, name: str) -> datetime | None:
    text = reader.optional_text(name)
    return from_text(text) if text else None
