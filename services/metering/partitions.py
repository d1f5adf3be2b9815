"""The usage slice, and the partitions that contain a tenant's rows, for removal and export.

TENANT#<t>#USAGE                        COPY#TENANT            the copy of the tenant
TENANT#<t>#USAGE                        SUMMARY#<month>        the last published summary of a month; in the `due` index
TENANT#<t>#USAGE                        STORAGE                the bytes in the bucket; in the `due` index
TENANT#<t>#USAGE#EVENT#<event id>       EVENT                  a ledger entry; in the `list` index by time
TENANT#<t>#USAGE#ASIDE#<event id>       <content hash>         a quarantined event; in the `list` index by time
TENANT#<t>#USAGE#HOUR#<hour>#<shard>    <rev>#TOTAL            the total of an hour's revision; `closed` rejects usage
TENANT#<t>#USAGE#HOUR#<hour>#<shard>    <rev>#DIM#<hash>       the same for one agent, model, provider and project
TENANT#<t>#USAGE#OPEN                   <hour>#<rev>           a revision that is not rolled up yet; in the `due` index
                                                               under DUE#USAGE#OPEN by its closing time
TENANT#<t>#USAGE#HOURS                  <hour>                 a closed hour with its corrections, rolled up
TENANT#<t>#USAGE#DAYS                   TOTAL#<day>            the closed hours of a day
TENANT#<t>#USAGE#DAYS                   DIM#<day>#<hash>       the same by dimension
TENANT#<t>#USAGE#MONTHS                 TOTAL#<month>          the closed hours of a month; in the `due` index
TENANT#<t>#USAGE#MONTHS                 DIM#<month>#<hash>     the same by dimension
TENANT#_operators#USAGE                 EXPORT#<hash>          an export, which no tenant owns
TENANT#<t>#USAGE#RUNS                   <day>#<agent>#<shard>  the final statuses and durations of runs

A month is `2026-11`, an hour `2026-11-22T23`, a revision `0000`. Revision 0 is the hour itself, the others are
corrections.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.metering.counters.domain.hours import Revision, hour_from_text, hour_to_text
from shared.declaration import Slice, Table
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression

SLICE = Slice("USAGE", Table.USAGE)
RETENTION = timedelta(days=90)
"""The time for which ledger entries and hourly counters stay in the table, from the time of the usage."""

_EXPIRED_AFTER = RETENTION + timedelta(days=7)
"""The age after which the counters of an hour have expired. DynamoDB deletes expired items within a few days.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html"""


def _counters_of_hours(store: Store, tenant_id: str, now: datetime) -> Iterator[str]:
    """Yield the partitions of open and closed hours, and then the partitions that name these hours."""
    opened, closed, first = (
        SLICE.key(tenant_id, "OPEN"),
        SLICE.key(tenant_id, "HOURS"),
        hour_to_text(now - _EXPIRED_AFTER),
    )
    names = [str(item["SK"]).partition("#")[0] for item in store.query_all(Expression("#PK = :pk", {"pk": opened}))]
    for item in store.query_all(Expression("#PK = :pk AND #SK >= :first", {"pk": closed, "first": first})):
        names.append(str(item["SK"]))
    for name in sorted(set(names)):
        for shard in Revision(hour_from_text(name)).shards:
            yield SLICE.key(tenant_id, "HOUR", name, str(shard))
    yield opened
    yield closed


TENANT_PARTITIONS = TenantPartitions(
    lists=("LEDGER", "ASIDE"),
    partitions=lambda tenant_id, _: tuple(SLICE.key(tenant_id, kind) for kind in ("DAYS", "MONTHS", "RUNS")),
    named=_counters_of_hours,
)

EXPORTED_PARTITIONS = TenantPartitions(
    lists=TENANT_PARTITIONS.lists,
    partitions=lambda tenant_id, _: (SLICE.key(tenant_id, kind) for kind in ("HOURS", "DAYS", "MONTHS", "RUNS")),
)
"""For exports: the ledger and the rolled-up hours, days and months. The shards of an hour are omitted, because the hour
is their sum."""
