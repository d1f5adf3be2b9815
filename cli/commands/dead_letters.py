"""`dead-letters`: messages that no consumer could handle."""

from collections.abc import Iterator

import click

from cli.dead_letter import NoSource, Queue, Redriven, describe, peek, queues_of, redrive
from cli.errors import Refused
from cli.output import show, table
from cli.target import Target, for_target


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that no consumer could handle."""


@dead_letters.command("list")
@for_target
def list_(target: Target) -> None:
    """All queues of dead letters, with how many lie in each."""
    rows = [describe(target.clients.sqs, queue) for queue in queues_of(target.clients.sqs, target.environment)]
    show(target, {"queues": rows}, table(rows, ("queue", "messages"), empty=target.not_deployed))


@dead_letters.command("show")
@click.argument("queue")
@for_target
def show_(target: Target, *, queue: str) -> None:
    """The messages of one queue; they stay where they are."""
    found = peek(target.clients.sqs, _find(target, queue))
    rows = [message.summary for message in found]
    columns = ("message_id", "type", "subject", "received", "body")
    show(target, {"messages": rows}, table(rows, columns, empty="There are no dead letters."))


@dead_letters.command("redrive")
@click.argument("queue", required=False)
@click.option("--message", "message_ids", multiple=True, help="Only the message with this id; can be said again.")
@click.option("--all", "all_queues", is_flag=True, help="Those of all queues.")
@for_target
def redrive_(target: Target, *, queue: str | None, message_ids: tuple[str, ...], all_queues: bool) -> None:
    """Send dead letters to their consumer again.

    Each is deleted only after it was sent.
    """
    rows: list[dict[str, str]] = []
    for one in _chosen(target, queue, all_queues=all_queues):
        for moved in _redriven(target, one, only=frozenset(message_ids) or None, skip=all_queues):
            # Said at once: if a later one fails, this one is gone from its queue all the same.
            click.echo(f"{moved.queue}  {moved.message_id} sent as {moved.sent_as}", err=target.as_json)
            rows.append({"queue": moved.queue, "message_id": moved.message_id, "sent_as": moved.sent_as})
    show(target, {"redriven": rows}, [f"{len(rows)} redriven."])


def _redriven(target: Target, queue: Queue, *, only: frozenset[str] | None, skip: bool) -> Iterator[Redriven]:
    try:
        yield from redrive(target.clients.sqs, queue, only=only)
    except NoSource as error:
        if not skip:
            msg = f"The letters of {queue.name} came from no queue: the bus refused them. Look at them with `show`."
            raise Refused(msg) from error


def _chosen(target: Target, queue: str | None, *, all_queues: bool) -> list[Queue]:
    if (queue is None) is not all_queues:
        msg = "Say which queue, or --all."
        raise Refused(msg)
    return [_find(target, queue)] if queue else queues_of(target.clients.sqs, target.environment)


def _find(target: Target, said: str) -> Queue:
    """A queue by its name, with or without what all names have in common."""
    queues = queues_of(target.clients.sqs, target.environment)
    for queue in queues:
        if said in {queue.name, queue.source, queue.source.removeprefix(target.names.of(""))}:
            return queue
    msg = f"There is no queue {said}; there are {', '.join(queue.source for queue in queues) or 'none'}."
    raise Refused(msg)
