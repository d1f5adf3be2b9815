"""`events`."""

import json
from contextlib import suppress

import click

from cli.target import Target, for_target


@click.group()
def events() -> None:
    """Watch the events on the bus."""


@events.command("tail")
@click.option("--type", "pattern", default="*", show_default=True, help="Only these types, for example `run.*`.")
@click.option("--tenant", help="Only events of this tenant.")
@click.option("--data", "with_data", is_flag=True, help="Print the data of the events as well.")
@for_target
def tail(target: Target, *, pattern: str, tenant: str | None, with_data: bool) -> None:
    """Print every event as it is published, until Ctrl+C.

    The command creates a queue and a rule for itself, and removes them at the end.
    """
    from cli.bus_tap import TappedBus, format_event, matches, receive_events, tap

    bus = TappedBus(target.names, target.clients.events, target.clients.sqs)
    with suppress(KeyboardInterrupt), tap(bus) as url:
        click.echo(f"Listening to {target.names.bus}. Press Ctrl+C to stop.", err=True)
        for event in receive_events(bus, url):
            if event and matches(event, pattern=pattern, tenant=tenant):
                click.echo(json.dumps(event) if target.as_json else format_event(event, with_data=with_data))
