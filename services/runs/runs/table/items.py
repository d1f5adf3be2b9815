"""Runs as items, and back."""

from datetime import datetime
from typing import Any

from services.runs.domain import artifact
from services.runs.domain.run import Run, RunError, Status
from services.runs.table import SLICE
from services.runs.table.parts import (
    attempt_from_item,
    attempt_to_item,
    open_call_from_item,
    open_call_to_item,
    turns_from_payload,
)
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.payloads import Payloads
from shared.stored import Stored
from shared.times import from_text, to_text

DUE = SLICE.due_key("RUN")
BURIED_DUE = SLICE.due_key("BURIED")


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
    written = {
        name: payloads.pack(run.tenant_id, _path(run, name), what) for name, what in artifact.payloads(run).items()
    }
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
        **{name.partition("-")[0]: packed for name, packed in written.items()},
        "artifacts": run.artifacts or None,
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
        "queued_at": [to_text(moment) for moment in run.queued_at],
        "plan": run.plan or None,
        "trace_id": run.trace_id or None,
        "started_at": _text(run.started_at),
        "ended_at": _text(run.ended_at),
        "slot_period": run.slot_period,
        "published_at": _text(run.published_at),
        "publications": run.publications or None,
    }
    return {name: value for name, value in item.items() if value is not None}


def buried_key(tenant_id: str, run_id: str) -> Key:
    """Where it is noted that a run was deleted and has left something behind."""
    return Key(run_key(tenant_id, run_id).pk, "BURIED")


def buried_item(run: Run, *, due_at: datetime) -> dict[str, Value]:
    """That note, for the reaper to find when nobody clears it before."""
    return {
        **buried_key(run.tenant_id, run.run_id).attributes,
        "tenant_id": run.tenant_id,
        "run_id": run.run_id,
        "due_pk": BURIED_DUE,
        "due_sk": due_place(due_at, run.run_id),
    }


def folder_of(run_id: str) -> str:
    """Where a run's objects lie, below its tenant's prefix."""
    return f"runs/{run_id}"


def _path(run: Run, name: str) -> str:
    return f"{folder_of(run.run_id)}/{name}"


def _places(run: Run) -> dict[str, Value]:
    """Where the run stands in the indexes."""
    places: dict[str, Value] = {"list_pk": list_key(run.tenant_id), "list_sk": run.run_id}
    if run.due_at:
        places |= {"due_pk": DUE, "due_sk": due_place(run.due_at, run.run_id), "due_at": to_text(run.due_at)}
    return places


def run_from_item(item: Item, payloads: Payloads, *, whole: bool = True) -> Run:
    """The run in this item.

    Args:
        item: as it was read.
        payloads: read what lies in the bucket.
        whole: False leaves large inputs and outputs there, and only says how large they are.
    """
    reader = Reader(item)
    tenant_id, config = reader.text("tenant_id"), reader.map("config")

    def unpack(name: str) -> dict[str, Any] | None:
        return payloads.unpack(tenant_id, reader.map(name)) if name in item else None

    def unpack_or_name(name: str) -> dict[str, Any] | None:
        return unpack(name) if whole else payloads.name(reader.map(name)) if name in item else None

    return Run(
        run_id=reader.text("run_id"),
        tenant_id=tenant_id,
        status=Status(reader.text("status")),
        agent_id=reader.text("agent_id"),
        version=reader.integer("version"),
        project_id=reader.optional_text("project_id"),
        config=Stored(config.text("key"), config.text("sha256")),
        inputs=unpack_or_name("inputs") or {},
        metadata=unpack("metadata") or {},
        turns=turns_from_payload(unpack("turns")),
        output=unpack_or_name("output"),
        max_output_tokens=reader.optional_integer("max_output_tokens"),
        max_cost_nano_usd=reader.optional_integer("max_cost_nano_usd"),
        request_id=reader.text("request_id"),
        seq=reader.integer("seq"),
        attempts=tuple(attempt_from_item(attempt) for attempt in reader.maps("attempts")),
        open_call=open_call_from_item(reader.map("open_call")) if "open_call" in item else None,
        call_started_at=_time(reader, "call_started_at"),
        cancel_requested=reader.flag("cancel_requested"),
        error=_error(reader.map("error")) if "error" in item else None,
        created_at=from_text(reader.text("created_at")),
        due_at=_time(reader, "due_at"),
        queued_at=tuple(from_text(moment) for moment in reader.texts("queued_at")),
        plan=reader.optional_text("plan") or "",
        trace_id=reader.optional_text("trace_id") or "",
        **_bookkeeping(reader),
        started_at=_time(reader, "started_at"),
        ended_at=_time(reader, "ended_at"),
    )


def _bookkeeping(reader: Reader) -> dict[str, Any]:
    """Return the fields of a run that no client sees."""
    return {
        "artifacts": reader.integers("artifacts"),
        "slot_period": reader.optional_text("slot_period"),
        "published_at": _time(reader, "published_at"),
        "publications": reader.optional_integer("publications") or 0,
    }


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _error(reader: Reader) -> RunError:
    return RunError(reader.text("code"), reader.text("message"))


def _time(reader: Reader, name: str) -> datetime | None:
    text = reader.optional_text(name)
    return from_text(text) if text else None
