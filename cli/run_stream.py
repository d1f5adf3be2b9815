"""The event stream of a run."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.api import ApiRequest, ApiResponse, Send
from cli.errors import CommandRefused

_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A server-sent event of a run."""

    id: str
    name: str
    data: dict[str, Any]


def follow_run(url: str, token: str, *, send: Send, pause: Callable[[], None]) -> Iterator[ReceivedEvent]:
    """Yield the events of the run at this address until it ends; each request continues after the last event.

    Raises:
        CommandRefused: the API refuses a request.
    """
    last: dict[str, str] = {}
    while (response := _get(f"{url}/stream", token, send=send, headers=last)).status != _NO_CONTENT:
        for event in parse_events(response.body):
            last = {"Last-Event-ID": event.id}
            yield event
        pause()


def fetch_run(url: str, token: str, *, send: Send) -> dict[str, Any]:
    """Return the run at this address.

    Raises:
        CommandRefused: the API refuses the request.
    """
    return _get(url, token, send=send).body["run"]


def parse_events(text: str) -> Iterator[ReceivedEvent]:
    """Yield the events in a part of a stream."""
    for block in text.split("\n\n"):
        fields = {name: value for name, _, value in (line.partition(": ") for line in block.split("\n"))}
        if "event" in fields:
            yield ReceivedEvent(fields["id"], fields["event"], json.loads(fields["data"]))


def format_event(event: ReceivedEvent) -> str:
    """Return the text to print for an event."""
    match event.name:
        case "run.delta":
            return str(event.data["text"])
        case "run.restarted":
            return "\n(again)\n"
        case "run.requires_action":
            return "".join(f"\n(tool {call['name']} {call['arguments']})\n" for call in event.data["tool_calls"])
        case _:
            return "\n"


def lines_of(run: dict[str, Any]) -> list[str]:
    """Return the error or the final status of a run; its output was streamed before."""
    error: dict[str, Any] | None = run.get("error")
    return [f"{error['code']}: {error['message']}" if error else run["status"]]


def _get(url: str, token: str, *, send: Send, headers: dict[str, str] | None = None) -> ApiResponse:
    response = send(ApiRequest("GET", url, headers=headers or {}, token=token))
    if response.status not in {200, _NO_CONTENT}:
        raise CommandRefused(response.reason)
    return response
