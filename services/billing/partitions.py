"""The billing slice.

TENANT#<t>#BILLING                  CUSTOMER                      the customer; in `due` by the end of its grace period
TENANT#<t>#BILLING                  KNOWN                         marks a customer; in `due`, which lists all of them
TENANT#<t>#BILLING                  REMAINDER                     byte-hours that do not yet make a whole MB-hour
TENANT#<t>#BILLING                  COPY#TENANT                   the copy of the tenant
TENANT#<t>#BILLING                  CHECKOUT                      the lease of the request that opens a checkout page
TENANT#<t>#BILLING                  CLOSING                       a postponed end of the tenant; in `due`
TENANT#<t>#BILLING                  DUPLICATE#<subscription>      a duplicate subscription; in `due` until refunded
TENANT#<t>#BILLING#INVOICES         <invoice id>                  an invoice as last read from Stripe
TENANT#<t>#BILLING#USAGE#<month>    <hour>#<rev>                  the usage of an hour, or a correction of it
TENANT#<t>#BILLING#SYNC#<month>     <hour>#<identifier>           a meter event by its timestamp; in `due` until final

These keys belong to no tenant. Only the webhook functions and the sweep can access them:

STRIPE#<event id>                   NOTICE                        a webhook; in `due` until it is handled
STRIPE#<customer id>                CUSTOMER                      the tenant of a customer

A month is `2026-11`, an hour `2026-11-22T23`.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.partitions import TenantPartitions
from shared.times import months_until

SLICE = Slice("BILLING", Table.TENANTS)
INVOICES, USAGE, SYNC = "INVOICES", "USAGE", "SYNC"
"""The partitions of invoices, and by month those of usage and meter events."""


def _exported_partitions(tenant_id: str, now: datetime) -> Iterator[str]:
    yield SLICE.key(tenant_id, INVOICES)
    for month in months_until(now):
        yield SLICE.key(tenant_id, USAGE, month)
        yield SLICE.key(tenant_id, SYNC, month)


EXPORTED_PARTITIONS = TenantPartitions(partitions=_exported_partitions)
"""All rows, for exports."""
TENANT_PARTITIONS = TenantPartitions(retained=("",))
"""No partition is deleted with the tenant: not this one, nor those of invoices, usage and meter events. They identify
the tenant only by its id and by the ids that Stripe needs to find its customer."""
