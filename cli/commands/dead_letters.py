"""`dead-letters`."""

from collections.abc import Iterator

import click

from cli.dead_letter import DeadLetterQueue, NoSourceQueue, RedrivenMessage, describe, list_queues, peek, redrive
from cli.errors import CommandRefused
from cli.output import show, table
from cli.target import Target, for_target


@click.group("dead-letters")
def dead_letters() -> None:
    """Manage messages that no consumer could handle."""


@dead_letters.command("list")
@for_target
def list_(target: Target) -> None:
    """List the dead-letter queues and their message counts."""
    rows = [describe(target.clients.sqs, queue) for queue in list_queues(target.clients.sqs, target.environment)]
    show(target, {"queues": rows}, table(rows, ("queue", "messages"), empty=target.not_deployed))


@dead_letters.command("show")
@click.argument("queue")
@for_target
def show_(target: Target, *, queue: str) -> None:
    """Show the messages of QUEUE without removing them."""
    rows = [message.summary for message in peek(target.clients.sqs, _find(target, queue))]
    columns = ("message_id", "type", "subject", "received", "body")
    show(target, {"messages": rows}, table(rows, columns, empty="There are no dead letters."))


@dead_letters.command("redrive")
@click.argument("queue", required=False)
@click.option("--message", "message_ids", multiple=True, help="Only the message with this id. Can be repeated.")
@click.option("--all", "all_queues", is_flag=True, help="The messages of all queues.")
@for_target
def redrive_(target: Target, *, queue: str | None, message_ids: tuple[str, ...], all_queues: bool) -> None:
    """Send dead letters back to their consumer's queue.

    A dead letter is deleted only after it was sent.
    """
    rows: list[dict[str, str]] = []
    for one in _select(target, queue, all_queues=all_queues):
        for moved in _redrive(target, one, only=frozenset(message_ids) or None, skip=all_queues):
            # Printed at once: this message has left its queue even if a later one fails.
            click.echo(f"{moved.queue}  {moved.message_id} sent as {moved.sent_as}", err=target.as_json)
            rows.append({"queue": moved.queue, "message_id": moved.message_id, "sent_as": moved.sent_as})
    show(target, {"redriven": rows}, [f"{len(rows)} redriven."])


def _redrive(
    target: Target, queue: DeadLetterQueue, *, only: frozenset[str] | None, skip: bool
) -> Iterator[RedrivenMessage]:
    try:
        yield from redrive(target.clients.sqs, queue, only=only)
    except NoSourceQueue as error:
        if not skip:
            msg = (
                f"The messages of {queue.name} came from no queue: the bus refused them. "
                f"Show them with `ainexus dead-letters show {queue.name}`."
            )
            raise CommandRefused(msg) from error


def _select(target: Target, queue: str | None, *, all_queues: bool) -> list[DeadLetterQueue]:
    if (queue is None) is not all_queues:
        msg = "Name either a queue or --all."
        raise CommandRefused(msg)
    return [_find(target, queue)] if queue else list_queues(target.clients.sqs, target.environment)


def _find(target: Target, name: str) -> DeadLetterQueue:
    """Return a queue by its full name, its source's name, or that name without the prefix of the environment."""
    queues = list_queues(target.clients.sqs, target.environment)
    for queue in queues:
        if name in {queue.name, queue.source, queue.source.removeprefix(target.names.of(""))}:
            return queue
    msg = f"There is no queue {name}. Use one of: {', '.join(queue.source for queue in queues) or 'none'}."
    raise CommandRefused(msg)
