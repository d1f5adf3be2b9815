"""HTTP in: following a run, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import Iterator, Sequence
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header

from services.runs import wiring
from services.runs.api.runs import RUN
from services.runs.domain.story import Cursor, Told
from services.runs.operations.following import follow
from shared.errors import Malformed
from shared.freejson import encode
from shared.http.app import HttpApp
from shared.http.call import Caller
from shared.http.token import seal, unseal
from shared.tenancy.permissions import Role

handler = HttpApp()

_EVENT_STREAM = "text/event-stream"
_LOOK_EVERY_S, _LONGEST_WAIT_S = 0.3, 20.0
"""A function behind the REST API must have answered after 29 s."""
RESPONSE_BYTES = 1024 * 1024
"""Of the data in one response: Lambda's limit is 6 MB, in which each quote and backslash takes two bytes."""
_RETRY_MS = 300
"""When the client asks for what comes next."""


@handler.route("GET", f"{RUN}/stream", least=Role.OBSERVER, statuses=(200, 204), media_type=_EVENT_STREAM)
def stream_run(
    caller: Caller,
    run_id: str,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that was heard.")
    ] = None,
) -> Response[str | None]:
    """Follow a run: what is new since `Last-Event-ID`, as soon as there is any; 204 when nothing more will come."""
    scope = (caller.tenant_id, "stream", run_id)
    cursor = _cursor(last_event_id, *scope)
    told = follow(wiring.tenant_runs(), caller.tenant_id, run_id, cursor, pauses=_pauses())
    if cursor.ended:
        return Response(status_code=204)
    body = _text(told, *scope)
    return Response(status_code=200, content_type=_EVENT_STREAM, body=body, headers={"Cache-Control": "no-store"})


def _cursor(token: str | None, *scope: str) -> Cursor:
    if not token:
        return Cursor()
    try:
        return Cursor.from_text(unseal(token, *scope) or "")
    except ValueError as error:
        msg = "This Last-Event-ID was not made for this run."
        raise Malformed(msg) from error


def _text(told: Sequence[Told], *scope: str) -> str:
    """Return the events as server-sent events, preceded by the time after which to ask again.

    The events that do not fit into one response follow in the next: the client asks for them by the last id.
    """
    written = [f"retry: {_RETRY_MS}\n\n"]
    left = RESPONSE_BYTES
    for one in told:
        data = encode(one.data)
        left -= len(data)
        if left < 0 and len(written) > 1:
            break
        written.append(f"id: {seal(one.cursor.to_text(), *scope)}\nevent: {one.name}\ndata: {data.decode()}\n\n")
    return "".join(written)


def _pauses() -> Iterator[None]:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        yield
