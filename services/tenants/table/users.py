"""Reading and writing users, and the places that are taken for those who are invited."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.tenants.domain.user import Invitation, User, UserStatus
from services.tenants.errors import UserExists, UserLimitReached, UserNotFound
from services.tenants.table import SLICE
from services.tenants.table.counts import (
    count_admin,
    count_adopted_user,
    count_from_nothing,
    discount_admin,
    give_place_back,
    require_tenant,
    take_place,
)
from shared.errors import PreconditionFailed
from shared.events.envelope import Event
from shared.events.tenants import TenantEvent
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.tenancy.permissions import Role
from shared.times import from_text, to_text

INVITATIONS = SLICE.due_key("INVITATION")
PATIENCE = timedelta(minutes=10)
"""For how long whoever invites may try again before the sweep finishes an invitation."""


def get_user(store: Store, tenant_id: str, user_id: str) -> User:
    """One user who is not about to go.

    Raises:
        UserNotFound: this tenant has none with this id.
    """
    user = find_user(store, tenant_id, user_id)
    if user is None or user.status is UserStatus.REMOVING:
        raise UserNotFound
    return user


def find_user(store: Store, tenant_id: str, user_id: str) -> User | None:
    """One user, or None."""
    item = store.get(_user_key(tenant_id, user_id))
    return _user_from_item(item) if item else None


def page_of_users(store: Store, tenant_id: str, *, limit: int, after: str | None) -> tuple[list[User], str | None]:
    """A page of users, newest first, and the place to go on from; it can be short though it is not the last one."""
    pk = _list_key(tenant_id)
    start: Item | None = None
    if after:
        start = {"list_pk": pk, "list_sk": after, **_user_key(tenant_id, after.partition("#")[2]).attributes}
    condition = Expression("#list_pk = :pk", {"pk": pk})
    page = store.query(condition, index="list", newest_first=True, limit=limit, resume_after=start)
    keys = [key_of(item) for item in page.items]
    found = store.get_many(keys)
    users = [_user_from_item(found[key]) for key in keys if key in found]
    shown = [user for user in users if user.status is not UserStatus.REMOVING]
    return shown, str(page.items[-1]["list_sk"]) if page.resume_after and page.items else None


def list_users(store: Store, tenant_id: str) -> Iterator[User]:
    """All users of the tenant as they are now, those about to go too."""
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key(tenant_id), "prefix": "USER#"})
    return (_user_from_item(item) for item in store.query_all(condition))


def take_place_for(store: Store, tenant_id: str, invitation: Invitation) -> None:
    """Count a user who is about to be made; a place that was taken for the same address before is used again.

    Raises:
        UserLimitReached: the plan allows no more.
    """
    transaction = Transaction(tenant_id, is_step=True)
    transaction.put(_invitation_to_item(tenant_id, invitation), when=ABSENT, otherwise=refuse_with(_PlaceTaken()))
    take_place(transaction, "users", limit="max_users", otherwise=refuse_with(UserLimitReached()))
    try:
        store.commit(transaction)
    except _PlaceTaken:
        return


def give_place_of(store: Store, tenant_id: str, email: str) -> None:
    """Take an invitation back; one that was carried out, or taken back, meanwhile stays as it is."""
    transaction = Transaction(tenant_id, is_step=True)
    transaction.delete(_invitation_key(tenant_id, email), when=PRESENT, otherwise=refuse_with(_PlaceTaken()))
    give_place_back(transaction, "users")
    try:
        store.commit(transaction)
    except _PlaceTaken:
        return


def add_user(store: Store, tenant_id: str, user: User, invited: Event[TenantEvent], *, once: Once | None) -> None:
    """Write the user for whom a place was taken.

    Raises:
        UserExists: somebody has done it meanwhile.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(tenant_id)
    if once:
        once.remember(transaction, SLICE, resource_id=user.user_id)
    transaction.delete(_invitation_key(tenant_id, user.email), when=PRESENT, otherwise=refuse_with(UserExists()))
    transaction.put(_user_to_item(tenant_id, user), when=ABSENT, otherwise=refuse_with(UserExists()))
    if user.is_active_admin:
        count_admin(transaction)
    else:
        require_tenant(transaction)
    transaction.emit(invited)
    store.commit(transaction)


def adopt_user(store: Store, tenant_id: str, user: User, invited: Event[TenantEvent]) -> None:
    """Write and count a user who could sign in already.

    Raises:
        UserExists: the user is known.
    """
    transaction = Transaction(tenant_id)
    transaction.put(_user_to_item(tenant_id, user), when=ABSENT, otherwise=refuse_with(UserExists()))
    count_adopted_user(transaction, is_admin=user.is_active_admin)
    transaction.emit(invited)
    store.commit(transaction)


def forget_count(store: Store, tenant_id: str) -> None:
    """Begin to count the users of a tenant that was made with AWS tools."""
    transaction = Transaction(tenant_id, is_step=True)
    count_from_nothing(transaction)
    store.commit(transaction)


def save_user(store: Store, tenant_id: str, before: User, after: User, said: Event[TenantEvent]) -> None:
    """Write a changed user over the version that this was decided on.

    Raises:
        PreconditionFailed: it was changed meanwhile.
        LastTenantAdmin: nobody could administer the tenant any more.
    """
    transaction = Transaction(tenant_id)
    transaction.put(
        _user_to_item(tenant_id, after),
        when=Expression("#seq = :before", {"before": before.seq}),
        otherwise=refuse_with(PreconditionFailed("The user was changed at the same time; read it again.")),
    )
    if before.is_active_admin and not after.is_active_admin:
        discount_admin(transaction)
    if after.is_active_admin and not before.is_active_admin:
        count_admin(transaction)
    transaction.emit(said)
    store.commit(transaction)


def drop_user(store: Store, tenant_id: str, user: User) -> None:
    """Forget a user whom the pool has let go, and give the place back; once."""
    transaction = Transaction(tenant_id, is_step=True)
    transaction.delete(_user_key(tenant_id, user.user_id), when=PRESENT, otherwise=refuse_with(_PlaceTaken()))
    give_place_back(transaction, "users")
    try:
        store.commit(transaction)
    except _PlaceTaken:
        return


def overdue_invitations(store: Store, *, now: datetime) -> Iterator[tuple[str, Invitation]]:
    """Invitations of all tenants that nobody has finished, with their tenants; for the sweep."""
    until = Expression("#due_pk = :pk AND #due_sk <= :now", {"pk": INVITATIONS, "now": to_text(now)})
    keys = [key_of(item) for item in store.query(until, index="due", limit=100).items]
    found = store.get_many(keys)
    for key in keys:
        if key in found:
            item = Reader(found[key])
            yield item.text("tenant_id"), _invitation_from_item(item)


class _PlaceTaken(Exception):
    """What was to be done is done."""


def _list_key(tenant_id: str) -> str:
    return SLICE.key(tenant_id, "USERS")


def _user_key(tenant_id: str, user_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"USER#{user_id}")


def _invitation_key(tenant_id: str, email: str) -> Key:
    return Key(SLICE.key(tenant_id), f"INVITATION#{email}")


def _user_to_item(tenant_id: str, user: User) -> dict[str, Value]:
    return {
        **_user_key(tenant_id, user.user_id).attributes,
        "list_pk": _list_key(tenant_id),
        "list_sk": f"{to_text(user.created_at)}#{user.user_id}",
        "user_id": user.user_id,
        "username": user.username,
        "email": user.email,
        "role": user.role,
        "features": user.features,
        "status": user.status,
        "seq": user.seq,
        "created_at": to_text(user.created_at),
        "updated_at": to_text(user.updated_at),
    }


def _user_from_item(item: Item) -> User:
    reader = Reader(item)
    return User(
        user_id=reader.text("user_id"),
        username=reader.text("username"),
        email=reader.text("email"),
        role=Role(reader.text("role")),
        features=reader.optional_texts("features"),
        status=UserStatus(reader.text("status")),
        seq=reader.integer("seq"),
        created_at=from_text(reader.text("created_at")),
        updated_at=from_text(reader.text("updated_at")),
    )


def _invitation_to_item(tenant_id: str, invitation: Invitation) -> dict[str, Value]:
    return {
        **_invitation_key(tenant_id, invitation.email).attributes,
        "tenant_id": tenant_id,
        "email": invitation.email,
        "role": invitation.role,
        "features": invitation.features,
        "invited_at": to_text(invitation.invited_at),
        "due_pk": INVITATIONS,
        "due_sk": f"{to_text(invitation.invited_at + PATIENCE)}#{tenant_id}#{invitation.email}",
    }


def _invitation_from_item(reader: Reader) -> Invitation:
    return Invitation(
        email=reader.text("email"),
        role=Role(reader.text("role")),
        features=reader.optional_texts("features"),
        invited_at=from_text(reader.text("invited_at")),
    )
