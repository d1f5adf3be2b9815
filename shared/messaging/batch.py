"""What is reported of a batch of messages, whoever handles it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from shared.failures import facts_of
from shared.metrics import DEAD_LETTERS, FAILED_MESSAGES, MESSAGES, QUEUE_AGE, Metric
from shared.observability import logger, report

TRIES = 5
"""So often is a message handled; then it lies in the dead letters."""

Record = Mapping[str, Any]


def report_batch(queue: str, records: Sequence[Record], failed: Mapping[str, Exception], **facts: object) -> None:
    """One line for the batch, and one for each message that failed.

    Args:
        queue: of which function, with its service's: `runs.worker`.
        records: as SQS gave them.
        failed: by message id, why.
        facts: what else is known.
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
    """Say why; gives whether the message is lost."""
    tries = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
    logger.warning("message failed", message_id=record["messageId"], tries=tries, **facts_of(error))
    return tries >= TRIES
