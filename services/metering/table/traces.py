"""Where all rows of a tenant are found."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.metering.domain.hours import Revision
from services.metering.table import KEPT, SLICE
from services.metering.table.amounts import hour_from_text, hour_to_text
from services.metering.table.counters import list_opened
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import Expression

_EXPIRED = KEPT + timedelta(days=7)
"""After it the counters of an hour have left the table by themselves; DynamoDB says within a few days.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html"""


def _counters_of_hours(store: Store, tenant_id: str, now: datetime) -> Iterator[str]:
    """The counters of the hours that are open or closed; then what names these hours."""
    hours = {opened.revision.hour for opened in list_opened(store, tenant_id)}
    closed, first = SLICE.key(tenant_id, "HOURS"), hour_to_text(now - _EXPIRED)
    for item in store.query_all(Expression("#PK = :pk AND #SK >= :first", {"pk": closed, "first": first})):
        hours.add(hour_from_text(str(item["SK"])))
    for hour in sorted(hours):
        for shard in Revision(hour).shards:
            yield SLICE.key(tenant_id, "HOUR", hour_to_text(hour), str(shard))
    yield SLICE.key(tenant_id, "OPEN")
    yield closed


TRACES = Traces(
    lists=("LEDGER", "ASIDE"),
    partitions=lambda tenant_id, _: tuple(SLICE.key(tenant_id, kind) for kind in ("DAYS", "MONTHS", "RUNS")),
    named=_counters_of_hours,
)

EXPORTED = Traces(
    lists=TRACES.lists,
    partitions=lambda tenant_id, _: (SLICE.key(tenant_id, kind) for kind in ("HOURS", "DAYS", "MONTHS")),
)
"""For exports: the ledger, and what closed hours, days and months add up to; the shards of an hour add up to it."""
