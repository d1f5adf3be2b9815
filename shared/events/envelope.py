"""The envelope of every event on the bus.

`occurred_at` is the time of the occurrence; the times of recording and delivery are not part of the envelope. `seq` is
the version of the subject, incremented in the transaction that emits the event: a consumer that keeps a copy writes it
only over a lower version, so the order of delivery does not matter.
"""

from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict

from shared.schema import DocumentedModel


class EventData(DocumentedModel):
    """The data of one kind of event; subclasses are the contracts.

    Unknown fields are ignored, so that an owner may add optional ones without a new version.
    """

    # A function declares many kinds of events and receives few of them, so each model is built on first use.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    TYPE: ClassVar[str]
    """The detail-type, `<noun>.<past verb>.v<n>`."""
    OWNER: ClassVar[str]
    """The service that emits the event."""


DataT = TypeVar("DataT", bound=EventData, covariant=True)


class Event(DocumentedModel, Generic[DataT]):
    """An event on the bus. Events with the same `id` are the same event."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    """Derived from the occurrence, for example `run_…:1:completed`."""
    type: str
    tenant_id: str
    subject: str
    """The id of the resource that the event is about."""
    seq: int
    occurred_at: datetime
    trace_id: str = ""
    data: DataT

    @property
    def source(self) -> str:
        """The event's `source` on the bus."""
        return f"ainexus.{self.data.OWNER}"


def new_event(
    data: DataT,
    *,
    event_id: str,
    tenant_id: str,
    subject: str,
    seq: int,
    at: datetime,
    trace_id: str = "",
) -> Event[DataT]:
    """Return an event. If it has no trace, it receives the current one when it is written to the outbox."""
    return Event(
        id=event_id,
        type=data.TYPE,
        tenant_id=tenant_id,
        subject=subject,
        seq=seq,
        occurred_at=at,
        trace_id=trace_id,
        data=data,
    )


def parse(kind: type[DataT], detail: dict[str, Any]) -> Event[DataT]:
    """Return the event in the `detail` of a bus message.

    Raises:
        pydantic.ValidationError: it does not satisfy its contract.
    """
    return Event[kind].model_validate(detail)
