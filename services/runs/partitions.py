"""The runs slice.

TENANT#<t>#RUNS#RUN#<run_…>    RUN                     a run with its attempts and calls; in the `list` index under
                                                       …#RUNS#LIST by id, and until it has ended in the `due` index
                                                       under DUE#RUNS#RUN by the time at which the reaper handles it,
                                                       or DUE#RUNS#TOOLS while it waits for tool outputs
TENANT#<t>#RUNS#RUN#<run_…>    CALLS#<attempt>         the calls of an ended attempt, once the run has many calls
TENANT#<t>#RUNS#RUN#<run_…>    TEXT#<attempt>#<call>#n a piece of the text of an open call, from character n on, or
                                                       the mark that the run was cancelled
TENANT#<t>#RUNS#BURIED         <run_…>                 the tombstone of a deleted run, until its remaining data is
                                                       deleted; in the `due` index under DUE#RUNS#BURIED
TENANT#<t>#RUNS#EXPERIMENTS    EXPERIMENT#<exp_…>      an experiment with the counters of its trials and its budget;
                                                       while trials are under way, in the `due` index under
                                                       DUE#RUNS#EXPERIMENT
TENANT#<t>#RUNS#EXPERIMENTS    RUNNING                 the number of the tenant's running experiments
TENANT#<t>#RUNS#TRIALS#<0-f>   <exp_…>#<5 digits>      a trial, its run and its scores
TENANT#<t>#RUNS                STORAGE                 the bytes that the tenant's runs store in the bucket
TENANT#<t>#RUNS#BUDGET#<month> BUDGET                  the remainder of the tenant's month, its open calls, its
                                                       executing runs and the number of waiting ones; while it has
                                                       any, in the `due` index under DUE#RUNS#BUDGET by the time at
                                                       which the sweep handles it
TENANT#<t>#RUNS#BACKLOG        <run_…>                 a run that waits for a slot in the tenant's own queue
TENANT#<t>#RUNS                COPY#TENANT             the copy of the tenant
TENANT#<t>#RUNS                COPY#AGENT#<agt_…>      the copy of an agent; a tombstone after its deletion
TENANT#<t>#RUNS                COPY#VERSION#<agt_…>#n  the copy of a version
TENANT#<t>#RUNS                COPY#PROMPT#<prm_…>     the copy of a prompt; a tombstone after its deletion
TENANT#<t>#RUNS                COPY#PROMPTVERSION#<prm_…>#n  the copy of a version of a prompt
TENANT#<t>#RUNS                STOPPING                the stop of a tenant that is being deleted; in the `due` index
                                                       under DUE#RUNS#STOPPING, until its runs have ended
TENANT#<t>#RUNS#DATASETS       DATASET#<dst_…>         a dataset with the numbers of its latest version
TENANT#<t>#RUNS#DATASETS       VERSION#<dst_…>#n       an immutable version of a dataset, and its file in the bucket
TENANT#<t>#RUNS#DATASETS       UPLOAD#<dst_…>#<upl_…>  an upload; in the `due` index under DUE#RUNS#UPLOAD, until its
                                                       file is deleted
TENANT#<t>#RUNS#DATASETS       REMOVED#<dst_…>         a deleted dataset; in the `due` index under DUE#RUNS#DATASET,
                                                       until its rows and files are deleted
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.items import Item, Key, Reader
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.times import months_until

SLICE = Slice("RUNS", Table.ENTITIES)
DATASETS = "DATASETS"
"""The partition of a tenant's datasets."""
EXPERIMENTS = "EXPERIMENTS"
"""The partition of a tenant's experiments."""
TRIALS = "TRIALS"
"""The first name of the partitions of trials, which a hexadecimal digit completes."""
CALLS = "CALLS#"
"""The prefix of the sort keys of calls that are stored beside their run."""


def _partitions(tenant_id: str, now: datetime) -> Iterator[str]:
    """Return the partitions of the tenant's datasets, experiments and budgets."""
    yield SLICE.key(tenant_id, DATASETS)
    yield SLICE.key(tenant_id, EXPERIMENTS)
    yield from (SLICE.key(tenant_id, TRIALS, digit) for digit in "0123456789abcdef")
    yield from (SLICE.key(tenant_id, "BUDGET", month) for month in months_until(now))


def _named(store: Store, tenant_id: str, _: datetime) -> Iterator[str]:
    """Return the partitions of runs that wait in the tenant's own queue or are being deleted, listed or not."""
    for kind in ("BACKLOG", "BURIED"):
        names = SLICE.key(tenant_id, kind)
        for item in store.query_all(Expression("#PK = :pk", {"pk": names})):
            yield SLICE.key(tenant_id, "RUN", str(item["SK"]))
        yield names


def calls_key(tenant_id: str, run_id: str, attempt: int) -> Key:
    """Return the key of the item with the calls of one attempt."""
    return Key(SLICE.key(tenant_id, "RUN", run_id), f"{CALLS}{attempt:03d}")


def _adjacent_calls(run: Item) -> list[Key]:
    """Return the keys of all calls that are stored beside a run's item."""
    reader = Reader(run)
    tenant_id, run_id = reader.text("tenant_id"), reader.text("run_id")
    moved_attempts = reader.optional_integer("moved_attempts") or 0
    return [calls_key(tenant_id, run_id, attempt) for attempt in range(1, moved_attempts + 1)]


TENANT_PARTITIONS = TenantPartitions(lists=("LIST",), partitions=_partitions, named=_named, adjacent=_adjacent_calls)
