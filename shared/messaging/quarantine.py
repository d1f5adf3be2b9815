"""Operators' commands about quarantined entries, the same in every service whose schedules sweep."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.messaging.commands import Commands
from shared.storage import quarantine
from shared.storage.quarantine import EntryFailure
from shared.storage.store import Store
from shared.times import to_text, utc_now


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Release(BaseModel):
    model_config = ConfigDict(extra="forbid")

    failure_id: str


def add_quarantine_commands(commands: Commands, store: Callable[[], Store]) -> None:
    """Register `quarantine_list` and `quarantine_release`.

    Args:
        commands: of the service's function `commands`.
        store: returns the slice of every tenant.
    """

    @commands.on("quarantine_list", _List)
    def list_quarantined(_: _List) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]  # registered
        return {"quarantined": [to_response(failure) for failure in quarantine.list_quarantined(store())]}

    @commands.on("quarantine_release", _Release)
    def release(asked: _Release) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]  # registered
        return {"released": to_response(quarantine.release(store(), asked.failure_id, now=utc_now()))}


def to_response(failure: EntryFailure) -> dict[str, Any]:
    """Return the operator's view of a quarantined entry."""
    entry = failure.entry
    return {
        "failure_id": failure.failure_id,
        "kind": entry.kind.lower(),
        "tenant_id": failure.tenant_id,
        "item": {"PK": entry.key.pk, "SK": entry.key.sk},
        "failures": failure.failures,
        "failed_at": to_text(failure.failed_at),
        "quarantined_at": to_text(failure.quarantined_at) if failure.quarantined_at else None,
        "error": dict(failure.error),
    }
