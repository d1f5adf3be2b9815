"""Addresses that users change to, each reserved until the user pool has it."""

from dataclasses import dataclass

from services.tenants.errors import UserExists
from shared.storage.codec import Codec
from shared.storage.table import TenantTable
from shared.storage.transaction import ABSENT, Transaction, refuse_with


@dataclass(frozen=True, slots=True)
class ReservedAddress:
    """The new address of a user."""

    email: str


class AddressTable(TenantTable[ReservedAddress]):
    """The reserved addresses of one tenant."""

    prefix, id_field = "ADDRESS#", "email"
    codec = Codec(ReservedAddress, given=("email",))

    def reserve(self, transaction: Transaction, email: str) -> None:
        """Reserve an address in the transaction, which is refused with `UserExists` if it is reserved."""
        self.add(transaction, ReservedAddress(email), otherwise=refuse_with(UserExists()))

    def release(self, transaction: Transaction, email: str) -> None:
        """Release an address in the transaction."""
        transaction.delete(self.key(email))

    def require_free(self, transaction: Transaction, email: str) -> None:
        """Refuse the transaction with `UserExists` if the address is reserved."""
        transaction.check(self.key(email), when=ABSENT, otherwise=refuse_with(UserExists()))
