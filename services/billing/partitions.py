"""The billing slice.

TENANT#<t>#BILLING                  CUSTOMER                      the tenant as a customer; in `due` when its grace ends
TENANT#<t>#BILLING                  KNOWN                         that there is one; in `due`, by which all are found
TENANT#<t>#BILLING                  REMAINDER                     byte-hours that make no whole MB-hour yet
TENANT#<t>#BILLING                  COPY#TENANT                   what is known of the tenant
TENANT#<t>#BILLING                  CHECKOUT                      the lease of the request that opens a checkout page
TENANT#<t>#BILLING                  CLOSING                       an end that an outage has postponed; in `due`
TENANT#<t>#BILLING                  DUPLICATE#<subscription>      a second subscription; in `due` until it is settled
TENANT#<t>#BILLING#INVOICES         <invoice id>                  an invoice as Stripe has it
TENANT#<t>#BILLING#USAGE#<month>    <hour>#<rev>                  what was used in an hour, or a correction of it
TENANT#<t>#BILLING#SYNC#<month>     <hour>#<identifier>           a meter event, by its stamp; in `due` until final

Of no tenant, for the webhook functions and the sweep alone:

STRIPE#<event id>                   NOTICE                        a webhook; in `due` until it was handled
STRIPE#<customer id>                CUSTOMER                      the tenant of a customer

A month is `2026-11`, an hour `2026-11-22T23`.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.traces import Traces
from shared.times import months_until

SLICE = Slice("BILLING", Table.TENANTS)


def _books(tenant_id: str, now: datetime) -> Iterator[str]:
    yield SLICE.key(tenant_id, "INVOICES")
    for month in months_until(now):
        yield SLICE.key(tenant_id, "USAGE", month)
        yield SLICE.key(tenant_id, "SYNC", month)


BOOKS = Traces(partitions=_books)
"""All rows, for exports."""
TRACES = Traces(keeps=("",))
"""The books stay as they are: this partition and those of invoices, usage and meter events. They name nobody but the
tenant's id, and what Stripe needs to find its customer."""
