"""Requests and responses of reporting usage."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WrapValidator

from services.metering.ingestion import domain, operations
from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel


def _as_sent(sent: Any, _validate: Any) -> Any:  # noqa: ANN401 — any JSON, which is validated event by event
    return sent


SentEvent = Annotated[domain.ReportedUsage, WrapValidator(_as_sent)]
"""An event as it was sent, with the schema of a valid one."""


class NewUsageEvents(DocumentedModel):
    """Usage events in CloudEvents format. Each one is validated and counted by itself."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "id": "render-4711",
                            "source": "image-service",
                            "type": "usage",
                            "time": "2026-11-24T09:30:00Z",
                            "data": {"meters": {"images_generated": 1}},
                        }
                    ]
                }
            ]
        },
    )

    events: Annotated[list[SentEvent], Field(min_length=1, max_length=domain.MAX_EVENTS_PER_REQUEST)]
    """An invalid event does not affect the others: its result is `rejected`, with the reason."""


class UsageEventResult(DocumentedModel):
    """The result of one reported event."""

    id: str | None
    """The id as it was sent; null if the event has none."""
    status: operations.IngestionStatus
    reason: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """The reason of a `conflict` or `rejected`; absent otherwise."""
    grouped_as: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """`other` if the event is accepted, but the hour has too many combinations of agent, model, provider and project to
    show this one separately; absent otherwise."""


class UsageEventResultsResponse(ResponseBody):
    """One result per event, in the order of the request."""

    results: list[UsageEventResult]
