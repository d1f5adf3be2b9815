"""Storage of users."""

from collections.abc import Mapping

from services.tenants.errors import UserChangedMeanwhile, UserExists, UserNotFound
from services.tenants.partitions import SLICE, USERS_LIST
from services.tenants.tenants.table.counts import TenantCounts
from services.tenants.users.domain import User, UserStatus
from services.tenants.users.table.addresses import AddressTable
from services.tenants.users.table.invitations import RETRY_WINDOW, AlreadyApplied, InvitationTable
from services.tenants.users.table.rollouts import DueUserTable
from shared.events.envelope import Event
from shared.events.tenants import TenantEvent
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Item, Value, key_of
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import PRESENT, Expression, Transaction, refuse_with
from shared.times import to_text


class UserTable(TenantTable[User]):
    """The users of one tenant. `find` and `all` include those who are being removed."""

    prefix, id_field = "USER#", "user_id"
    codec = Codec(User)
    not_found, changed = UserNotFound, UserChangedMeanwhile

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self._addresses = AddressTable(store, tenant_id)
        self._counts = TenantCounts(store, tenant_id)
        self._invitations = InvitationTable(store, tenant_id)
        self._list_pk = SLICE.key(tenant_id, USERS_LIST)

    def indexed(self, record: User) -> Mapping[str, Value]:
        """Return the place in the list of users, by the time of their creation."""
        return {"list_pk": self._list_pk, "list_sk": f"{to_text(record.created_at)}#{record.user_id}"}

    def get(self, record_id: str = "") -> User:
        """Return a user who is not being removed.

        Raises:
            UserNotFound: the tenant has no such user.
        """
        user = super().get(record_id)
        if user.status is UserStatus.REMOVING:
            raise UserNotFound
        return user

    def page(self, *, limit: int, after: str | None) -> tuple[list[User], str | None]:
        """Return a page of users, newest first, and the cursor of the next page.

        A page can be short although it is not the last one, because users who are being removed are omitted.
        """
        start: Item | None = None
        if after:
            start = {"list_pk": self._list_pk, "list_sk": after, **self.key(after.partition("#")[2]).attributes}
        condition = Expression("#list_pk = :pk", {"pk": self._list_pk})
        page = self.store.query(condition, index="list", newest_first=True, limit=limit, resume_after=start)
        keys = [key_of(item) for item in page.items]
        found = self.store.get_many(keys)
        users = [self.decode(found[key]) for key in keys if key in found]
        shown = [user for user in users if user.status is not UserStatus.REMOVING]
        return shown, str(page.items[-1]["list_sk"]) if page.resume_after and page.items else None

    def page_of_ids(self, user_id: str | None, *, limit: int) -> list[str]:
        """Return a page of the ids of users in order, including those who are being removed.

        Args:
            user_id: the user after whom the page begins. None for the first page.
            limit: the maximum number of users.
        """
        after = self.key(user_id).attributes if user_id else None
        of_users = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": self.pk, "prefix": self.prefix})
        page = self.store.query(of_users, limit=limit, resume_after=after)
        return [str(item["SK"]).removeprefix(self.prefix) for item in page.items]

    def create(self, user: User, invited: Event[TenantEvent], *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a user and delete the invitation, which has counted the user.

        Raises:
            UserExists: a concurrent request has stored the user.
            AlreadyDone: an earlier attempt of this request has succeeded.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=user.user_id)
        self._invitations.finish(transaction, user.email)
        self.add(transaction, user, otherwise=refuse_with(UserExists()))
        if user.is_active_admin:
            self._counts.add_admin(transaction)
        else:
            self._counts.require_tenant(transaction)
        transaction.emit(invited)
        self.store.commit(transaction)

    def create_imported(self, user: User, invited: Event[TenantEvent]) -> None:
        """Write and count an imported user.

        Raises:
            UserExists: the user was imported or created before.
        """
        transaction = self.transaction()
        self.add(transaction, user, otherwise=refuse_with(UserExists()))
        self._counts.add_imported_user(transaction, is_admin=user.is_active_admin)
        transaction.emit(invited)
        self.store.commit(transaction)

    def reset_counts(self) -> None:
        """Reset the counts of users and admins before they are imported, in a tenant that AWS tools created."""
        transaction = self.transaction(is_step=True)
        self._counts.reset(transaction)
        self.store.commit(transaction)

    def save(self, before: User, after: User, *events: Event[TenantEvent]) -> None:
        """Replace a user if its version is that of `before`.

        Raises:
            UserChangedMeanwhile: another request changed the user.
            LastTenantAdmin: the change would leave the tenant without an admin.
            UserExists: another user of the tenant is being created with the new address or changed to it.
        """
        transaction = self.transaction()
        changed = refuse_with(UserChangedMeanwhile())
        transaction.put(self.item(after), when=self._unchanged(before), otherwise=changed)
        if before.is_active_admin and not after.is_active_admin:
            self._counts.remove_admin(transaction)
        if after.is_active_admin and not before.is_active_admin:
            self._counts.add_admin(transaction)
        self._move_address(transaction, before, after)
        transaction.emit(*events)
        self.store.commit(transaction)

    def _move_address(self, transaction: Transaction, before: User, after: User) -> None:
        """Reserve a new address until the pool has it, or release one that the pool refused."""
        if after.email_before and not before.email_before:
            self._addresses.reserve(transaction, after.email)
            self._invitations.require_none(transaction, after.email)
            due_users = DueUserTable(self.store, self.tenant_id)
            due_users.put(transaction, after.user_id, at=after.updated_at + RETRY_WINDOW)
        if before.email_before and not after.email_before:
            self._addresses.release(transaction, before.email)

    def confirm_address(self, user: User) -> None:
        """Record that the pool has the user's new address; a user who was changed meanwhile stays as it is."""
        transaction = self.transaction(is_step=True)
        transaction.update(
            self.key(user.user_id),
            self.setting(email_before=None),
            when=self._unchanged(user),
            otherwise=refuse_with(AlreadyApplied()),
        )
        self._addresses.release(transaction, user.email)
        try:
            self.store.commit(transaction)
        except AlreadyApplied:
            return

    def remove(self, user: User) -> None:
        """Delete a user who is removed from the pool, and decrement the count. It is idempotent."""
        transaction = self.transaction(is_step=True)
        transaction.delete(self.key(user.user_id), when=PRESENT, otherwise=refuse_with(AlreadyApplied()))
        if user.email_before:
            self._addresses.release(transaction, user.email)
        self._counts.decrement(transaction, "users")
        try:
            self.store.commit(transaction)
        except AlreadyApplied:
            return

    def _unchanged(self, user: User) -> Expression:
        """Return the condition that a row is as it was read. Settling an address is no new version of the user."""
        return self.equal(seq=user.seq, email_before=user.email_before)
