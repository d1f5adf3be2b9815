"""`events`: what passes on the bus."""

import json
from contextlib import suppress
from fnmatch import fnmatchcase

import click

from cli.bus_tap import Bus, Heard, heard, tapped
from cli.target import Target, for_target


@click.group()
def events() -> None:
    """What passes on the bus."""


@events.command("tail")
@click.option("--type", "pattern", default="*", show_default=True, help="Only these types, for example `run.*`.")
@click.option("--tenant", help="Only what is said of this tenant.")
@click.option("--data", "with_data", is_flag=True, help="Also what the events say.")
@for_target
def tail(target: Target, *, pattern: str, tenant: str | None, with_data: bool) -> None:
    """Print every event as it passes, until Ctrl+C.

    A queue and a rule are made for it and removed at the end.
    """
    bus = Bus(target.names, target.clients.events, target.clients.sqs)
    with suppress(KeyboardInterrupt), tapped(bus) as url:
        click.echo(f"Listening to {target.names.bus}; Ctrl+C ends.", err=True)
        for event in heard(bus, url):
            if event and is_asked_for(event, pattern=pattern, tenant=tenant):
                click.echo(json.dumps(event) if target.as_json else line_of(event, with_data=with_data))


def is_asked_for(event: Heard, *, pattern: str, tenant: str | None) -> bool:
    """Whether it is of this type and tenant."""
    return fnmatchcase(event["type"], pattern) and tenant in {None, event["tenant_id"]}


def line_of(event: Heard, *, with_data: bool) -> str:
    """An event on one line."""
    at = event["occurred_at"][11:23]
    line = f"{at}  {event['type']:28} {event['tenant_id']:20} {event['subject']} seq {event['seq']}"
    return f"{line}  {json.dumps(event['data'])}" if with_data else line
