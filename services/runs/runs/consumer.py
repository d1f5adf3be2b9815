"""Event handlers that count stored bytes, and operator commands about the usage of calls."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.runs import wiring
from services.runs.runs.domain.run import CallId
from services.runs.runs.operations import reconciliation
from services.runs.runs.table.storage import StoredBytes
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import to_text

events = EventRouter()
commands = CommandRouter()


@events.on(ArtifactStored)
def count_stored_bytes(event: Event[ArtifactStored], delivery: Delivery) -> None:
    """Count the bytes for the plan's limit, unless they were counted in the transaction that stored them."""
    StoredBytes(wiring.slice_store(), event.tenant_id).count_delivered(delivery, more=event.data.bytes)


@events.on(ArtifactDeleted)
def discount_deleted_bytes(event: Event[ArtifactDeleted], delivery: Delivery) -> None:
    """Subtract the bytes, unless they were subtracted in the transaction that deleted them."""
    StoredBytes(wiring.slice_store(), event.tenant_id).count_delivered(delivery, more=-event.data.bytes)


class _TenantInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _TalliesInput(_TenantInput):
    start: AwareDatetime
    end: AwareDatetime
    after: str | None = None


class _CallsInput(_TenantInput):
    span: Annotated[str, Field(pattern="^run_[0-9A-Z]{6}$")]


class _RepublishInput(_TenantInput):
    event_ids: list[Annotated[str, Field(pattern=r"^run_[0-9A-Z]{26}:\d+:\d+$")]]

    @property
    def calls(self) -> list[CallId]:
        """The calls that these usage events belong to."""
        parts = [event_id.split(":") for event_id in self.event_ids]
        return [CallId(run_id, int(attempt), int(number)) for run_id, attempt, number in parts]


@commands.on("tallies", _TalliesInput)
def tallies(command: _TalliesInput) -> dict[str, Any]:
    """Return the tallies of the calls of runs created in this time, and the cursor to continue from."""
    by_span, cursor = reconciliation.tallies(
        wiring.slice_runs().of(command.tenant_id), start=command.start, end=command.end, after=command.after
    )
    return {"calls": {span: asdict(tally) for span, tally in by_span.items()}, "after": cursor}


@commands.on("calls", _CallsInput)
def calls(command: _CallsInput) -> dict[str, Any]:
    """Return the ended calls of the runs created in one span of time."""
    ended = reconciliation.calls_of(wiring.slice_runs().of(command.tenant_id), command.span)
    return {
        "calls": {
            str(call_id): {"period": call.period, "meters": call.meters, "ended_at": to_text(call.ended_at)}
            for call_id, call in ended
        }
    }


@commands.on("republish", _RepublishInput)
def republish(command: _RepublishInput) -> dict[str, Any]:
    """Publish the usage events of these calls again; consumers that have counted them ignore the repetition."""
    return {"published": reconciliation.republish(wiring.slice_runs().of(command.tenant_id), command.calls)}
