"""The HTTP API of a run's stream, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import Iterator, Sequence
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header

from services.runs import wiring
from services.runs.streaming.domain import StreamCursor, StreamEvent
from services.runs.streaming.operations import stream_events
from services.runs.streaming.schemas import RunStreamEvent
from shared.errors import Malformed
from shared.freejson import encode
from shared.http.call import Caller
from shared.http.router import Router
from shared.http.token import seal, unseal
from shared.tenancy.permissions import Role

router = Router()

_EVENT_STREAM = "text/event-stream"
_POLL_INTERVAL_S, _MAX_WAIT_S = 0.3, 20.0
"""Seconds. A function behind the REST API must respond within 29 s."""
RESPONSE_BYTES = 1024 * 1024
"""The maximum data of one response: Lambda's limit is 6 MB, in which each quote and backslash takes two bytes."""
_RETRY_MS = 300
"""The delay after which the client requests the next events."""


@router.route(
    "GET",
    "/v1/tenants/{tenant_id}/runs/{run_id}/stream",
    min_role=Role.OBSERVER,
    statuses=(200, 204),
    media_type=_EVENT_STREAM,
    event=RunStreamEvent,
)
def stream_run(
    caller: Caller,
    run_id: str,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that was received.")
    ] = None,
) -> Response[str | None]:
    """Stream a run: the events after `Last-Event-ID`, as soon as there are any; 204 after the last event."""
    scope = (caller.tenant_id, "stream", run_id)
    cursor = _cursor(last_event_id, *scope)
    events = stream_events(wiring.tenant_runs(caller.tenant_id), run_id, cursor, pauses=_polls())
    if cursor.ended:
        return Response(status_code=204)
    body = _text(events, *scope)
    return Response(status_code=200, content_type=_EVENT_STREAM, body=body, headers={"Cache-Control": "no-store"})


def _cursor(token: str | None, *scope: str) -> StreamCursor:
    if not token:
        return StreamCursor()
    try:
        return StreamCursor.from_text(unseal(token, *scope) or "")
    except ValueError as error:
        msg = "This Last-Event-ID is invalid for this run."
        raise Malformed(msg) from error


def _text(events: Sequence[StreamEvent], *scope: str) -> str:
    """Return the events as server-sent events, preceded by the retry delay.

    Events that do not fit into one response follow in the next: the client requests them by the last id.
    """
    written = [f"retry: {_RETRY_MS}\n\n"]
    left = RESPONSE_BYTES
    for event in events:
        data = encode(event.data)
        left -= len(data)
        if left < 0 and len(written) > 1:
            break
        written.append(f"id: {seal(event.cursor.to_text(), *scope)}\nevent: {event.name}\ndata: {data.decode()}\n\n")
    return "".join(written)


def _polls() -> Iterator[None]:
    deadline = time.monotonic() + _MAX_WAIT_S
    while time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)
        yield
