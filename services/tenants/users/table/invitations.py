"""Storage of invitations, each of which occupies a seat."""

from collections.abc import Mapping
from datetime import timedelta

from services.tenants.errors import UserExists, UserLimitReached
from services.tenants.partitions import SLICE
from services.tenants.tenants.table.counts import TenantCounts
from services.tenants.users.domain import Invitation
from services.tenants.users.table.addresses import AddressTable
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import ABSENT, PRESENT, Transaction, refuse_with

INVITATIONS = DueIndex(SLICE, "INVITATION")
"""The place of unfinished invitations in the `due` index."""
RETRY_WINDOW = timedelta(minutes=10)
"""The time in which an inviting client can retry before the sweep finishes the invitation, and in which the event of a
changed address can be retried before the sweep updates the user."""


class AlreadyApplied(Exception):
    """The transaction's condition failed because a previous or concurrent request has made the change."""


class InvitationTable(TenantTable[Invitation]):
    """The invitations of one tenant."""

    prefix, id_field = "INVITATION#", "email"
    codec = Codec(Invitation)

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self._counts = TenantCounts(store, tenant_id)

    def indexed(self, record: Invitation) -> Mapping[str, Value]:
        """Return the tenant, and the place in the queue by the time at which the sweep finishes the invitation."""
        due = INVITATIONS.place(record.invited_at + RETRY_WINDOW, self.tenant_id, record.email)
        return {"tenant_id": self.tenant_id, **due}

    def reserve_seat(self, invitation: Invitation) -> None:
        """Store an invitation and count its user. An invitation of the same address is reused.

        Raises:
            UserExists: the address of a user of the tenant is being changed to this one.
            UserLimitReached: the tenant has the maximum number of users.
        """
        transaction = self.transaction(is_step=True)
        AddressTable(self.store, self.tenant_id).require_free(transaction, invitation.email)
        self.add(transaction, invitation, otherwise=refuse_with(AlreadyApplied()))
        reached = refuse_with(UserLimitReached())
        self._counts.increment(transaction, "users", limit="max_users", otherwise=reached)
        try:
            self.store.commit(transaction)
        except AlreadyApplied:
            return

    def release_seat(self, email: str) -> None:
        """Delete an invitation and decrement the count. Nothing changes if it was finished or deleted meanwhile."""
        transaction = self.transaction(is_step=True)
        transaction.delete(self.key(email), when=PRESENT, otherwise=refuse_with(AlreadyApplied()))
        self._counts.decrement(transaction, "users")
        try:
            self.store.commit(transaction)
        except AlreadyApplied:
            return

    def finish(self, transaction: Transaction, email: str) -> None:
        """Delete an invitation in the transaction, which is refused with `UserExists` if it does not exist."""
        transaction.delete(self.key(email), when=PRESENT, otherwise=refuse_with(UserExists()))

    def require_none(self, transaction: Transaction, email: str) -> None:
        """Refuse the transaction with `UserExists` if the address is invited."""
        transaction.check(self.key(email), when=ABSENT, otherwise=refuse_with(UserExists()))
