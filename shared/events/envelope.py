"""What every event on the bus looks like.

Times: `occurred_at` is when the thing happened; when it was recorded or delivered is nobody's business.
`seq` is the version of the subject, raised in the transaction that emits: a consumer that keeps a copy writes it
only over a lower one, so the order of delivery does not matter.
"""

from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class EventData(BaseModel):
    """The facts of one kind of event; subclasses are the contracts.

    Unknown fields are ignored, so that an owner may add optional ones without a new version.
    """

    # A function knows many kinds, and meets few: they are built when they are met.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    TYPE: ClassVar[str]
    """The detail-type, `<noun>.<past verb>.v<n>`."""
    OWNER: ClassVar[str]
    """The service that emits it."""


DataT = TypeVar("DataT", bound=EventData, covariant=True)


class Event(BaseModel, Generic[DataT]):
    """One fact, said once: the same `id` is the same fact."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    """Derived from what happened, for example `run_…:1:completed`."""
    type: str
    tenant_id: str
    subject: str
    """The id of the thing that it happened to."""
    seq: int
    occurred_at: datetime
    trace_id: str = ""
    data: DataT

    @property
    def source(self) -> str:
        """The bus's `source` of this event."""
        return f"ainexus.{self.data.OWNER}"


def happened(
    data: DataT,
    *,
    event_id: str,
    tenant_id: str,
    subject: str,
    seq: int,
    at: datetime,
    trace_id: str = "",
) -> Event[DataT]:
    """The event that says so; without a trace of its own it belongs to what is being done when it is written."""
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
    """The event in the `detail` of a bus message.

    Raises:
        pydantic.ValidationError: it does not keep its contract.
    """
    return Event[kind].model_validate(detail)
