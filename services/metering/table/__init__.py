"""The usage slice.

TENANT#<t>#USAGE                        COPY#TENANT            what is known of the tenant
TENANT#<t>#USAGE                        SUMMARY#<month>        what was said last of a month; in the `due` index
TENANT#<t>#USAGE                        STORAGE                what lies in the bucket; in the `due` index
TENANT#<t>#USAGE#EVENT#<event id>       EVENT                  an entry of the ledger; in the `list` index by time
TENANT#<t>#USAGE#ASIDE#<event id>       <content hash>         an event that is not counted; in the `list` index by time
TENANT#<t>#USAGE#HOUR#<hour>#<shard>    <rev>#TOTAL            the usage of an hour's revision; `closed` fences it
TENANT#<t>#USAGE#HOUR#<hour>#<shard>    <rev>#DIM#<hash>       the same of one agent, model, provider and project
TENANT#<t>#USAGE#OPEN                   <hour>#<rev>           a revision that is not rolled up yet; in the `due` index
                                                               under DUE#USAGE#OPEN by when it is closed
TENANT#<t>#USAGE#HOURS                  <hour>                 a closed hour with its corrections, rolled up
TENANT#<t>#USAGE#DAYS                   TOTAL#<day>            the closed hours of a day
TENANT#<t>#USAGE#DAYS                   DIM#<day>#<hash>       the same by dimensions
TENANT#<t>#USAGE#MONTHS                 TOTAL#<month>          the closed hours of a month; in the `due` index
TENANT#<t>#USAGE#MONTHS                 DIM#<month>#<hash>     the same by dimensions
TENANT#_operators#USAGE                 EXPORT#<hash>          an export, which no tenant owns
TENANT#<t>#USAGE#RUNS                   <day>#<agent>#<shard>  how runs ended, and how long they took

A month is `2026-11`, an hour `2026-11-22T23`, a revision `0000`; 0 is the hour itself, the others are corrections.
"""

from datetime import timedelta

from shared.declaration import Slice, Table

SLICE = Slice("USAGE", Table.USAGE)
KEPT = timedelta(days=90)
"""How long the ledger and the counters of an hour are in the table, from when the usage happened."""
