"""The runs slice.

TENANT#<t>#RUNS#RUN#<run_…>    RUN                     the run, with its attempts and calls; in the `list` index
                                                       under …#RUNS#LIST by id, and until it is final in the `due`
                                                       index under DUE#RUNS#RUN by the time the reaper looks at it
TENANT#<t>#RUNS#RUN#<run_…>    TEXT#<attempt>#<call>#n a piece of an answer that is being written, n characters behind
                                                       its beginning; or the mark of who cancelled
TENANT#<t>#RUNS#RUN#<run_…>    BURIED                  a deleted run that has left something behind; in the `due`
                                                       index under DUE#RUNS#BURIED
TENANT#<t>#RUNS                STORAGE                 the bytes of its runs that lie in the bucket
TENANT#<t>#RUNS#BUDGET#<month> BUDGET                  what is left of the tenant's month, and its open calls; while
                                                       there are any in the `due` index under DUE#RUNS#BUDGET
                                                       by the time the sweep looks at them; the item also holds
                                                       the runs that execute, and the number of those that wait
TENANT#<t>#RUNS#BACKLOG        <run_…>                 a run that waits for a slot in the tenant's own queue
TENANT#<t>#RUNS                COPY#TENANT             what is known of the tenant
TENANT#<t>#RUNS                COPY#AGENT#<agt_…>      what is known of an agent; a tombstone when it was deleted
TENANT#<t>#RUNS                COPY#VERSION#<agt_…>#n  what is known of a version of it
TENANT#<t>#RUNS                STOPPING                a tenant that is being deleted; in the `due` index under
                                                       DUE#RUNS#STOPPING, until its runs have ended
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.traces import Traces
from shared.times import months_until

SLICE = Slice("RUNS", Table.ENTITIES)


def _partitions(tenant_id: str, now: datetime) -> Iterator[str]:
    """The partitions of the tenant's budgets, and of its own queue."""
    yield SLICE.key(tenant_id, "BACKLOG")
    yield from (SLICE.key(tenant_id, "BUDGET", month) for month in months_until(now))


TRACES = Traces(lists=("LIST",), partitions=_partitions)
