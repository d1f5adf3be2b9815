"""The sweep, which publishes the events that the streams have not delivered."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from services.core.outbox.operations.publishing import NotPublished, Publisher
from services.core.outbox.table import Outboxes
from shared.deadline import remaining_s
from shared.metrics import OUTBOX_LATE
from shared.observability import logger, report
from shared.storage.items import Key
from shared.times import to_text


def sweep(
    publisher: Publisher,
    outboxes: Outboxes,
    *,
    tables: Mapping[str, str],
    now: datetime,
    monotonic: Callable[[], float],
) -> None:
    """Publish events that have been in an outbox longer than a stream takes, until the time is over.

    Each slice has its share of the time, and one that fails leaves it to the others.

    Args:
        publisher: puts the events on the bus.
        outboxes: reads the events.
        tables: the table of each slice.
        now: events that are due by then are published.
        monotonic: the clock of the shares.
    """
    published = late = 0
    for number, (owned, table) in enumerate(tables.items()):
        ends_at = monotonic() + remaining_s() / (len(tables) - number)
        try:
            for keys in outboxes.due_keys(table, owned=owned, now=to_text(now)):
                late += len(keys)
                published += _publish_due(publisher, outboxes, table, keys, owned=owned)
                if monotonic() >= ends_at:
                    break
        except (ClientError, BotoCoreError) as error:
            logger.warning("an outbox was not swept", slice=owned, error=type(error).__name__)
    report("swept", {OUTBOX_LATE: late}, events=published)


def _publish_due(publisher: Publisher, outboxes: Outboxes, table: str, keys: Sequence[Key], *, owned: str) -> int:
    """Publish a page of events. Events that the bus does not accept stay, and block no others."""
    try:
        return publisher.publish(table, list(outboxes.read(table, keys)))
    except NotPublished:
        logger.warning("the bus did not take all", slice=owned)
        return 0
