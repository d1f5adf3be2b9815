"""Conversion of runs to and from items."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.runs.partitions import SLICE
from services.runs.runs.domain import artifact
from services.runs.runs.domain.run import InvalidOutput, PinnedPrompt, Run, RunError, Status, TrialRef
from services.runs.runs.table.parts import (
    attempt_from_item,
    attempt_to_item,
    open_call_from_item,
    open_call_to_item,
    turns_from_payload,
)
from shared.document_ref import DocumentRef
from shared.freejson import encode, loads_stored
from shared.storage.codec import Codec
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.payloads import Payloads
from shared.times import from_text, to_text

DUE = SLICE.due_key("RUN")
TOOLS_DUE = SLICE.due_key("TOOLS")
TOMBSTONE_DUE = SLICE.due_key("BURIED")
_PROMPT = Codec(PinnedPrompt)


def run_key(tenant_id: str, run_id: str) -> Key:
    """Return the key of a run."""
    return Key(SLICE.key(tenant_id, "RUN", run_id), "RUN")


def list_key(tenant_id: str) -> str:
    """Return the partition of the `list` index that holds the tenant's runs."""
    return SLICE.key(tenant_id, "LIST")


def due_sort_key(due_at: datetime, run_id: str) -> str:
    """Return the sort key of a run in the `due` index."""
    return f"{to_text(due_at)}#{run_id}"


def run_to_item(run: Run, payloads: Payloads) -> dict[str, Value]:
    """Return the item of a run. Missing values are omitted, and large payloads are stored in the bucket."""
    written = {
        name: payloads.pack(run.tenant_id, _path(run, name), what, inline_bytes=artifact.inline_bytes(name))
        for name, what in artifact.payloads(run).items()
    }
    item: dict[str, Value] = {
        **run_key(run.tenant_id, run.run_id).attributes,
        **_index_keys(run),
        "run_id": run.run_id,
        "tenant_id": run.tenant_id,
        "status": run.status,
        "agent_id": run.agent_id,
        "version": run.version,
        "project_id": run.project_id,
        **_trial_to_item(run.trial),
        "config": {"key": run.config.key, "sha256": run.config.sha256},
        "prompt": _PROMPT.encode(run.prompt) if run.prompt else None,
        **{name.partition("-")[0]: packed for name, packed in written.items()},
        "artifacts": run.artifacts or None,
        "parameters": encode(run.parameters).decode() if run.parameters else None,
        "max_output_tokens": run.max_output_tokens,
        "max_cost_nano_usd": run.max_cost_nano_usd,
        "request_id": run.request_id,
        "seq": run.seq,
        "attempt": run.attempt,
        "attempts": _attempts(run),
        "moved_attempts": run.moved_attempts or None,
        "open_call": open_call_to_item(run.open_call) if run.open_call else None,
        "call_started_at": _text(run.call_started_at),
        "cancel_requested": run.cancel_requested or None,
        "error": run.error.to_fields() if run.error else None,
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


def _trial_to_item(trial: TrialRef | None) -> dict[str, Value]:
    if trial is None:
        return {}
    return {"experiment_id": trial.experiment_id, "trial": trial.number, "trial_max_tokens": trial.max_tokens}


def _trial(reader: Reader) -> TrialRef | None:
    experiment_id = reader.optional_text("experiment_id")
    if experiment_id is None:
        return None
    return TrialRef(experiment_id, reader.integer("trial"), reader.optional_integer("trial_max_tokens"))


def _attempts(run: Run) -> list[dict[str, Value]]:
    attempts = enumerate(run.attempts, start=1)
    return [attempt_to_item(attempt, with_calls=number > run.moved_attempts) for number, attempt in attempts]


def tombstone_key(tenant_id: str, run_id: str) -> Key:
    """Return the key of a deleted run's tombstone."""
    return Key(SLICE.key(tenant_id, "BURIED"), run_id)


def legacy_tombstone_key(tenant_id: str, run_id: str) -> Key:
    """Return the key of the tombstone as earlier releases wrote it, in the run's own partition."""
    return Key(run_key(tenant_id, run_id).pk, "BURIED")


def run_id_of_tombstone(key: Key) -> str:
    """Return the id of the run that a tombstone belongs to."""
    return key.pk.rpartition("#")[2] if key.sk == "BURIED" else key.sk


def tombstone_item(run: Run, *, due_at: datetime) -> dict[str, Value]:
    """Return a tombstone, due at the time when the reaper clears it unless the deletion has."""
    return {
        **tombstone_key(run.tenant_id, run.run_id).attributes,
        "tenant_id": run.tenant_id,
        "run_id": run.run_id,
        "due_pk": TOMBSTONE_DUE,
        "due_sk": due_sort_key(due_at, run.run_id),
    }


def folder_of(run_id: str) -> str:
    """Return the folder of a run's objects, within its tenant's prefix."""
    return f"runs/{run_id}"


def _path(run: Run, name: str) -> str:
    return f"{folder_of(run.run_id)}/{name}"


def _index_keys(run: Run) -> dict[str, Value]:
    """Return the run's keys in the indexes."""
    keys: dict[str, Value] = {"list_pk": list_key(run.tenant_id), "list_sk": run.run_id}
    if run.due_at:
        # No limit bounds the runs that wait for tools, so they must not delay the search for lost leases.
        due_pk = TOOLS_DUE if run.status is Status.REQUIRES_ACTION else DUE
        keys |= {"due_pk": due_pk, "due_sk": due_sort_key(run.due_at, run.run_id), "due_at": to_text(run.due_at)}
    return keys


def run_from_item(item: Item, payloads: Payloads, *, with_payloads: bool = True) -> Run:
    """Return the run in this item.

    Args:
        item: the item as it was read.
        payloads: the payloads in the bucket.
        with_payloads: False reads nothing from the bucket: large inputs, metadata and output are replaced by their
            size, and large turns are omitted.
    """
    reader = Reader(item)
    config = reader.map("config")
    return Run(
        run_id=reader.text("run_id"),
        tenant_id=reader.text("tenant_id"),
        status=Status(reader.text("status")),
        agent_id=reader.text("agent_id"),
        version=reader.integer("version"),
        project_id=reader.optional_text("project_id"),
        config=DocumentRef(config.text("key"), config.text("sha256")),
        prompt=_prompt(item),
        **_written(reader, payloads, with_payloads=with_payloads),
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


def _written(reader: Reader, payloads: Payloads, *, with_payloads: bool) -> dict[str, Any]:
    """Return the fields that users and models write."""
    tenant_id = reader.text("tenant_id")

    def unpack(name: str) -> dict[str, Any] | None:
        return payloads.unpack(tenant_id, reader.map(name)) if name in reader.names else None

    def unpack_or_name(name: str) -> dict[str, Any] | None:
        return unpack(name) if with_payloads else payloads.name(reader.map(name)) if name in reader.names else None

    # Lists contain the turns only of a run that waits for tool outputs, and no large ones.
    has_turns = with_payloads or (
        reader.text("status") == Status.REQUIRES_ACTION and "key" not in _names(reader, "turns")
    )
    return {
        "inputs": unpack_or_name("inputs") or {},
        "metadata": unpack_or_name("metadata") or {},
        "turns": turns_from_payload(unpack("turns") if has_turns else None),
        "output": unpack_or_name("output"),
    }


def _bookkeeping(reader: Reader) -> dict[str, Any]:
    """Return the fields of a run that are seldom present, most of which no response contains."""
    return {
        "trial": _trial(reader),
        "artifacts": reader.integers("artifacts"),
        "parameters": loads_stored(reader.optional_text("parameters") or "{}"),
        "moved_attempts": reader.optional_integer("moved_attempts") or 0,
        "slot_period": reader.optional_text("slot_period"),
        "published_at": _time(reader, "published_at"),
        "publications": reader.optional_integer("publications") or 0,
    }


def _prompt(item: Item) -> PinnedPrompt | None:
    stored = item.get("prompt")
    return _PROMPT.decode(stored) if isinstance(stored, Mapping) else None


def _names(reader: Reader, name: str) -> tuple[str, ...]:
    """Return the names in a payload's attribute; empty if the attribute is missing."""
    return reader.map(name).names if name in reader.names else ()


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _error(reader: Reader) -> RunError:
    details = reader.map("details") if "details" in reader.names else None
    output = (
        InvalidOutput(details.text("output"), details.flag("truncated"), details.text("reason")) if details else None
    )
    return RunError(reader.text("code"), reader.text("message"), output)


def _time(reader: Reader, name: str) -> datetime | None:
    text = reader.optional_text(name)
    return from_text(text) if text else None
