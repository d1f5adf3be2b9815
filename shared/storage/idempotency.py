"""`Idempotency-Key`: the same request sent twice is done once, and answered twice.

The record is written in the transaction that makes the resource, so there is no moment in which one exists without
the other, and nothing has to be leased: of two requests at once one makes the resource, the other finds the record.
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

KEPT = timedelta(hours=24)


class AlreadyDone(Exception):
    """The request with this key was carried out before; the answer is rendered from its resource."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(resource_id)
        self.resource_id = resource_id


@dataclass(frozen=True, slots=True)
class Once:
    """One request that is to be done once."""

    tenant_id: str
    scope: str
    """Who asked, and by which route."""
    key: str
    """The header's value."""
    fingerprint: str
    """The hash of what was asked."""
    now: datetime

    def entropy(self, bits: int) -> int:
        """In place of chance, for the id of what is made: the same request sent again gets the same."""
        name = joined(self.tenant_id, self.scope, self.key, self.fingerprint)
        return int.from_bytes(hashlib.sha256(name.encode()).digest()) >> (256 - bits)

    def record_key(self, owned: Slice) -> Key:
        """Where its record lies; the header's value is hashed, so that it may be any text.

        The first letter of the hash spreads the records over 16 partitions, which a removal of the tenant finds.
        """
        name = hashlib.sha256(joined(self.scope, self.key).encode()).hexdigest()
        return Key(owned.key(self.tenant_id, "IDEMPOTENCY", name[0]), name)

    def remember(self, transaction: Transaction, owned: Slice, *, resource_id: str) -> None:
        """Let the transaction make this resource unless the request was carried out before."""
        item: dict[str, Value] = {
            **self.record_key(owned).attributes,
            "resource_id": resource_id,
            "fingerprint": self.fingerprint,
            "ttl": epoch(self.now + KEPT),
        }
        expired_or_absent = Expression("attribute_not_exists(PK) OR #ttl <= :now", {"now": epoch(self.now)})
        transaction.put(item, when=expired_or_absent, otherwise=self._answer_to)

    def ensure_new(self, store: Store) -> None:
        """Find an earlier request before anything is checked or spent.

        Raises:
            AlreadyDone: it was carried out.
            IdempotencyKeyReused: the key belongs to another request.
        """
        record = store.get(self.record_key(store.owned))
        # The TTL deletes late, so an old record may still be there.
        if record and int(str(record["ttl"])) > epoch(self.now):
            raise self._answer_to(record)

    def _answer_to(self, record: Item | None) -> Exception:
        if record and record["fingerprint"] == self.fingerprint:
            return AlreadyDone(str(record["resource_id"]))
        return IdempotencyKeyReused("This Idempotency-Key was used before with another request.")
