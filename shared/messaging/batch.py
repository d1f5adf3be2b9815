"""Reports about a batch of messages."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from shared.failures import facts_of
from shared.metrics import DEAD_LETTERS, FAILED_MESSAGES, MESSAGES, QUEUE_AGE, Metric
from shared.observability import logger, report

MAX_RECEIVES = 5
"""The number of attempts after which a message becomes a dead letter."""

Record = Mapping[str, Any]


def report_batch(queue: str, records: Sequence[Record], failed: Mapping[str, Exception], **facts: object) -> None:
    """Log one line for a batch, and one for each message that failed.

    Args:
        queue: the consuming function with its service, for example `runs.worker`.
        records: the records from SQS.
        failed: the errors by message id.
        facts: further fields of the log line.
    """
    lost = 0
    for record in records:
        if error := failed.get(record["messageId"]):
            lost += _report_failure(record, error)
    measured: dict[Metric, float] = {MESSAGES: len(records), FAILED_MESSAGES: len(failed), DEAD_LETTERS: lost}
    sent = [int(record["attributes"]["SentTimestamp"]) for record in records if "attributes" in record]
    if sent:
        measured[QUEUE_AGE] = max(0, int(time.time() * 1000) - min(sent))
    report("consumed", measured, queue=queue, **facts)


def _report_failure(record: Record, error: Exception) -> bool:
    """Log a failed message, and return whether this was its last attempt."""
    tries = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
    logger.warning("message failed", message_id=record["messageId"], tries=tries, **facts_of(error))
    return tries >= MAX_RECEIVES
