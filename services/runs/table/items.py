"""Runs as items, and back."""

from datetime import datetime
from typing import Any

from services.runs.domain.run import Run, RunError, Status
from services.runs.table import SLICE
from services.runs.table.parts import (
    attempt_from_item,
    attempt_to_item,
    open_call_from_item,
    open_call_to_item,
    turns_from_payload,
    turns_to_payload,
)
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
    """The run as it is stored; what it does not have is left out."""

    def pack(name: str, payload: Payload | None) -> dict[str, Value] | None:
        if payload is None:
            return None
        return payloads.pack(run.tenant_id, f"runs/{run.run_id}/{name}.json", payload)

    item: dict[str, Value] = {
        **run_key(run.tenant_id, run.run_id).attributes,
        **_places(run),
        "run_id": run.run_id,
        "tenant_id": run.tenant_id,
        "status": run.status,
        "agent_id": run.agent_id,
        "version": run.version,
        "project_id": run.project_id,
        "config": {"key": run.config.key, "sha256": run.config.sha256},
        "inputs": pack("inputs", run.inputs),
        "metadata": pack("metadata", run.metadata),
        "turns": pack(f"turns-{len(run.turns)}", turns_to_payload(run.turns) if run.turns else None),
        "output": pack("output", run.output),
        "max_output_tokens": run.max_output_tokens,
        "max_cost_nano_usd": run.max_cost_nano_usd,
        "request_id": run.request_id,
        "seq": run.seq,
        "attempt": run.attempt,
        "attempts": [attempt_to_item(attempt) for attempt in run.attempts],
        "open_call": open_call_to_item(run.open_call) if run.open_call else None,
        "call_started_at": _text(run.call_started_at),
        "cancel_requested": run.cancel_requested or None,
        "error": {"code": run.error.code, "message": run.error.message} if run.error else None,
        "created_at": to_text(run.created_at),
        "started_at": _text(run.started_at),
        "ended_at": _text(run.ended_at),
    }
    return {name: value for name, value in item.items() if value is not None}


def _places(run: Run) -> dict[str, Value]:
    """Where the run stands in the indexes."""
    places: dict[str, Value] = {"list_pk": list_key(run.tenant_id), "list_sk": run.run_id}
    if run.due_at:
        places |= {"due_pk": DUE, "due_sk": due_place(run.due_at, run.run_id), "due_at": to_text(run.due_at)}
    return places


def run_from_item(item: Item, payloads: Payloads) -> Run:
    """The run in this item."""
    reader = Reader(item)
    tenant_id = reader.text("tenant_id")

    def unpack(name: str) -> dict[str, Any] | None:
        return payloads.unpack(tenant_id, reader.map(name)) if name in item else None

    config, error = reader.map("config"), reader.map("error") if "error" in item else None
    return Run(
        run_id=reader.text("run_id"),
        tenant_id=tenant_id,
        status=Status(reader.text("status")),
        agent_id=reader.text("agent_id"),
        version=reader.integer("version"),
        project_id=reader.optional_text("project_id"),
        config=Stored(config.text("key"), config.text("sha256")),
        inputs=unpack("inputs") or {},
        metadata=unpack("metadata") or {},
        turns=turns_from_payload(unpack("turns")),
        output=unpack("output"),
        max_output_tokens=reader.optional_integer("max_output_tokens"),
        max_cost_nano_usd=reader.optional_integer("max_cost_nano_usd"),
        request_id=reader.text("request_id"),
        seq=reader.integer("seq"),
        attempts=tuple(attempt_from_item(attempt) for attempt in reader.maps("attempts")),
        open_call=open_call_from_item(reader.map("open_call")) if "open_call" in item else None,
        call_started_at=_time(reader, "call_started_at"),
        cancel_requested=reader.flag("cancel_requested"),
        error=RunError(error.text("code"), error.text("message")) if error else None,
        created_at=from_text(reader.text("created_at")),
        due_at=_time(reader, "due_at"),
        started_at=_time(reader, "started_at"),
        ended_at=_time(reader, "ended_at"),
    )


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _time(reader: Reader, name: str) -> datetime | None:
    text = reader.optional_text(name)
    return from_text(text) if text else None
