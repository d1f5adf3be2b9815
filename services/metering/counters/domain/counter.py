"""Counters of the shards of an hour."""

from dataclasses import dataclass

from services.metering.counters.domain.amounts import Dimensions
from services.metering.counters.domain.hours import Revision

MAX_ROWS_PER_SHARD = 250
"""The limit of rows by dimension in one shard of an hour's revision: with four shards, 1,000 per tenant and hour. Usage
of further combinations is counted in the shard's row `other`, which does not count toward the limit."""


@dataclass(frozen=True, slots=True)
class HourCounter:
    """A counter: one shard of an hour's revision, in total or for one combination of dimensions."""

    revision: Revision
    shard: int
    dimensions: Dimensions | None = None
    """None for the total, which also decides whether the revision still accepts usage in this shard."""
