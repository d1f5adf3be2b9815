"""The worker: executes the queue of runs, and waited runs."""

from typing import Any

from services.runs.execution import consumer as execution
from shared.edge import open_scope
from shared.messaging.consumer import EventConsumer

queue = EventConsumer("runs.worker", execution.events, concurrently=True)


def handler(batch: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Execute the runs of a batch concurrently, or a waited run, which is returned to the api function."""
    if "Records" in batch:
        return queue(batch, context)
    with open_scope(context):
        return execution.execute_waited_run(batch)
