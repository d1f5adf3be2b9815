"""The attributes that a write of a run changes, and the condition under which it may."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.runs.domain.run import Run
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.table.items import run_to_item
from shared.storage.items import Item, Value
from shared.storage.payloads import Payloads
from shared.storage.transaction import Expression
from shared.times import to_text

PAYLOADS = ("inputs", "metadata", "turns", "output")
"""Written by users and models; the attributes of a run's item and of `Run` have the same names."""
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
    "config",
    "artifacts",
    "max_output_tokens",
    "max_cost_nano_usd",
    "request_id",
    "seq",
    "attempt",
    "attempts",
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
"""A run that is quarantined becomes due again with the next write."""


def changes(before: Run, after: Run, payloads: Payloads) -> dict[str, Value]:
    """Return the attributes that differ; None for one that is gone.

    Payloads that did not change are not written again. Large ones that did are stored in the bucket.
    """
    kept = {name for name in PAYLOADS if getattr(after, name) is getattr(before, name)}
    written = run_to_item(_without(after, kept), payloads)
    known = run_to_item(_without(before, PAYLOADS), payloads)
    gone: dict[str, Value] = {name: None for name in known if name not in {*written, *PAYLOADS}}
    return gone | {
        name: value
        for name, value in written.items()
        if name not in kept and (known.get(name) != value or name in PAYLOADS or name in _ALWAYS_WRITTEN)
    }


def setting(changed: Mapping[str, Value]) -> Expression:
    """Return the update that makes these changes."""
    written = {name: value for name, value in changed.items() if value is not None}
    gone = [f"#{name}" for name in changed if name not in written]
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in written)
    return Expression(text + (f" REMOVE {', '.join(gone)}" if gone else ""), written)


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


def refusal(run: Run, there: Item | None) -> Exception:
    """Why a fenced write was refused."""
    held = there is not None and (there["status"], there["attempt"]) == (run.status, run.attempt)
    return CancelRequested() if held and there and there.get("cancel_requested") else LeaseLost()


def _without(run: Run, names: Iterable[str]) -> Run:
    """Return the run with these payloads empty."""
    empty: dict[str, Any] = {"inputs": {}, "metadata": {}, "turns": (), "output": None}
    return replace(run, **{name: empty[name] for name in names})
