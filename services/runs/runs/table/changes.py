"""The attributes that a write of a run changes, and its conditions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.runs.errors import CancelRequested, LeaseLost
from services.runs.runs.domain.run import Run
from services.runs.runs.table.items import run_from_item, run_to_item
from shared.storage.items import Item, Value
from shared.storage.payloads import Payloads
from shared.storage.transaction import Expression
from shared.times import to_text

PAYLOADS = ("inputs", "metadata", "turns", "output")
"""Attributes that users and models write; they have the same names in a run's item and in `Run`."""
STATE = (
    "PK",
    "SK",
    "list_pk",
    "list_sk",
    "due_pk",
    "due_sk",
    "due_at",
    "run_id",
    "tenant_id",
    "status",
    "agent_id",
    "version",
    "project_id",
    "experiment_id",
    "trial",
    "trial_max_tokens",
    "config",
    "prompt",
    "artifacts",
    "parameters",
    "max_output_tokens",
    "max_cost_nano_usd",
    "request_id",
    "seq",
    "attempt",
    "attempts",
    "moved_attempts",
    "open_call",
    "call_started_at",
    "cancel_requested",
    "error",
    "created_at",
    "queued_at",
    "plan",
    "trace_id",
    "started_at",
    "ended_at",
    "slot_period",
    "published_at",
    "publications",
)
"""All other attributes."""
_ALWAYS_WRITTEN = frozenset({"due_pk"})
"""The next write of a quarantined run makes it due again."""


def state_from_item(item: Item, payloads: Payloads) -> Run:
    """Return the state of the run in this item, without payloads."""
    known = {name: value for name, value in item.items() if name not in PAYLOADS}
    return run_from_item(known, payloads)


def changes(before: Run, after: Run, payloads: Payloads) -> dict[str, Value]:
    """Return the attributes that differ; None for a removed one.

    Unchanged payloads are not written again. Large changed payloads are stored in the bucket.
    """
    unchanged = {name for name in PAYLOADS if getattr(after, name) is getattr(before, name)}
    written = run_to_item(_without(after, unchanged), payloads)
    known = run_to_item(_without(before, PAYLOADS), payloads)
    removed: dict[str, Value] = {name: None for name in known if name not in {*written, *PAYLOADS}}
    return removed | {
        name: value
        for name, value in written.items()
        if name not in unchanged and (known.get(name) != value or name in PAYLOADS or name in _ALWAYS_WRITTEN)
    }


def update_expression(changed: Mapping[str, Value]) -> Expression:
    """Return the update that makes these changes."""
    written = {name: value for name, value in changed.items() if value is not None}
    removed = [f"#{name}" for name in changed if name not in written]
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in written)
    return Expression(text + (f" REMOVE {', '.join(removed)}" if removed else ""), written)


def fence(
    run: Run,
    *,
    and_due: bool = False,
    and_call: bool = False,
    unless_cancelled: bool = False,
    next_seq: int | None = None,
) -> Expression:
    """Return the condition that no other attempt has taken or ended the run since."""
    values: dict[str, Value] = {"status_before": run.status, "attempt_before": run.attempt}
    terms = ["#status = :status_before", "#attempt = :attempt_before"]
    if and_due and run.due_at:
        terms.append("#due_at = :due_before")
        values["due_before"] = to_text(run.due_at)
    if and_call and run.open_call:
        terms.append("#open_call.#number = :call_before")
        values["call_before"] = run.open_call.number
    elif and_call:
        terms.append("attribute_not_exists(#open_call)")
    if next_seq is not None:
        terms.append("#seq < :next_seq")
        values["next_seq"] = next_seq
    if unless_cancelled:
        terms.append("attribute_not_exists(#cancel_requested)")
    return Expression(" AND ".join(terms), values)


def fence_error(run: Run, existing: Item | None) -> Exception:
    """Return the error for a refused fenced write."""
    is_unchanged = existing is not None and (existing["status"], existing["attempt"]) == (run.status, run.attempt)
    return CancelRequested() if is_unchanged and existing and existing.get("cancel_requested") else LeaseLost()


def _without(run: Run, names: Iterable[str]) -> Run:
    """Return the run with these payloads empty."""
    empty: dict[str, Any] = {"inputs": {}, "metadata": {}, "turns": (), "output": None}
    return replace(run, **{name: empty[name] for name in names})
