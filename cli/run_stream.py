"""`runs`: what becomes of a run."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from cli.api import Answer, Request, Send, send
from cli.errors import Refused
from cli.output import show
from cli.sign_in import SignedIn, sign_in
from cli.target import Target, for_target

_PAUSE_S = 0.3
_NOTHING_MORE = 204


@click.group()
def runs() -> None:
    """What becomes of a run."""


@runs.command("tail")
@click.argument("run_id")
@click.option("--user", "email", required=True, help="Address of the user in whose name it is read.")
@click.option("--tenant", help="Id of the tenant; the default is the user's own.")
@for_target
def tail(target: Target, *, run_id: str, email: str, tenant: str | None) -> int:
    """Follow a run to its end, its text as it comes.

    The exit code is 0 only when it completed.
    """
    signed_in = sign_in(target, email)
    url = f"{target.outputs['ApiEndpoint']}/v1/tenants/{tenant or _tenant_of(signed_in)}/runs/{run_id}"
    for event in follow(url, signed_in.token, send=send, pause=lambda: time.sleep(_PAUSE_S)):
        click.echo(written(event), nl=False, err=target.as_json)
    run = _read(url, signed_in.token, send=send).body["run"]
    show(target, run, lines_of(run))
    return 0 if run["status"] == "completed" else 1


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event of a run."""

    id: str
    name: str
    data: dict[str, Any]


def follow(url: str, token: str, *, send: Send, pause: Callable[[], None]) -> Iterator[StreamEvent]:
    """What the run at this address tells, to its end; asks again from the last event on.

    Raises:
        Refused: it cannot be read.
    """
    last: dict[str, str] = {}
    while (answer := _read(f"{url}/stream", token, send=send, headers=last)).status != _NOTHING_MORE:
        for event in events_of(answer.body):
            last = {"Last-Event-ID": event.id}
            yield event
        pause()


def events_of(text: str) -> Iterator[StreamEvent]:
    """The events in a part of a stream."""
    for block in text.split("\n\n"):
        fields = {name: value for name, _, value in (line.partition(": ") for line in block.split("\n"))}
        if "event" in fields:
            yield StreamEvent(fields["id"], fields["event"], json.loads(fields["data"]))


def written(event: StreamEvent) -> str:
    """What a person sees of an event."""
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
    """How a run has ended; its answer was seen while it came."""
    error: dict[str, Any] | None = run.get("error")
    return [f"{error['code']}: {error['message']}" if error else run["status"]]


def _read(url: str, token: str, *, send: Send, headers: dict[str, str] | None = None) -> Answer:
    answer = send(Request("GET", url, headers=headers or {}, token=token))
    if answer.status not in {200, _NOTHING_MORE}:
        raise Refused(answer.reason)
    return answer


def _tenant_of(signed_in: SignedIn) -> str:
    tenant = signed_in.claims.get("custom:tenant_id")
    if tenant is None:
        msg = "This user belongs to no tenant: say which one with --tenant."
        raise Refused(msg)
    return str(tenant)
