"""`Idempotency-Key`: a request that is sent twice is executed once, and answered twice.

The record is written in the transaction that creates the resource, so one never exists without the other and no lease
is needed: of two simultaneous requests, one creates the resource and the other finds the record.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.declaration import Slice
from shared.errors import IdempotencyKeyReused
from shared.ids import joined
from shared.storage.items import Item, Key, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import epoch

RECORD_RETENTION = timedelta(hours=24)


class AlreadyDone(Exception):
    """A request with this key was executed before; its response is rendered from the resource."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(resource_id)
        self.resource_id = resource_id


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request that must be executed only once."""

    tenant_id: str
    scope: str
    """The caller and the route."""
    key: str
    """The value of the header."""
    fingerprint: str
    """The hash of the request."""
    now: datetime

    def entropy(self, bits: int) -> int:
        """Return derived bits for the id of the new resource, so that a repeated request gets the same id."""
        name = joined(self.tenant_id, self.scope, self.key, self.fingerprint)
        return int.from_bytes(hashlib.sha256(name.encode()).digest()) >> (256 - bits)

    def record_key(self, owned: Slice) -> Key:
        """Return the key of the record. The header's value is hashed, so that it may be any text.

        The first digit of the hash spreads the records over 16 partitions, all of which the removal of a tenant reads.
        """
        name = hashlib.sha256(joined(self.scope, self.key).encode()).hexdigest()
        return Key(owned.key(self.tenant_id, "IDEMPOTENCY", name[0]), name)

    def remember(self, transaction: Transaction, owned: Slice, *, resource_id: str) -> None:
        """Add the record to a transaction, which then fails if the request was executed before."""
        item: dict[str, Value] = {
            **self.record_key(owned).attributes,
            "resource_id": resource_id,
            "fingerprint": self.fingerprint,
            "ttl": epoch(self.now + RECORD_RETENTION),
        }
        expired_or_absent = Expression("attribute_not_exists(PK) OR #ttl <= :now", {"now": epoch(self.now)})
        transaction.put(item, when=expired_or_absent, otherwise=self._error_for)

    def ensure_new(self, store: Store) -> None:
        """Check for an earlier request before anything is validated or spent.

        Raises:
            AlreadyDone: the request was executed before.
            IdempotencyKeyReused: the key belongs to a different request.
        """
        record = store.get(self.record_key(store.owned))
        # DynamoDB's TTL deletes with a delay, so an expired record may still exist.
        if record and int(str(record["ttl"])) > epoch(self.now):
            raise self._error_for(record)

    def _error_for(self, record: Item | None) -> Exception:
        if record and record["fingerprint"] == self.fingerprint:
            return AlreadyDone(str(record["resource_id"]))
        return IdempotencyKeyReused("This Idempotency-Key was used before with another request.")
