"""Tenants and users that were made with AWS tools: whatever of them has no event yet is announced."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.tenants.domain import tenant as tenant_domain
from services.tenants.domain import user as user_domain
from services.tenants.domain.user import Invitation
from services.tenants.errors import TenantNotFound, UserExists
from services.tenants.gateways.identity import Identity, PoolUser
from services.tenants.table import tenants, users
from shared.storage.store import Store
from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was announced now, and what cannot be."""

    tenants: list[str] = field(default_factory=list[str])
    users: list[str] = field(default_factory=list[str])
    """Addresses."""
    left: dict[str, str] = field(default_factory=dict[str, str])
    """By address or id, why it was left as it is."""


def adopt(store: Store, identity: Identity, candidates: Sequence[str], *, now: datetime) -> Adopted:
    """Announce these tenants, and all users of the pool that belong to one; carried out again, it changes nothing.

    Args:
        store: the slice.
        identity: the user pool.
        candidates: ids of tenants; whoever asks has looked for them, since no function may scan a table.
        now: the time.
    """
    adopted = Adopted()
    for tenant_id in candidates:
        try:
            tenant = tenants.get_tenant(store, tenant_id)
        except TenantNotFound:
            adopted.left[tenant_id] = "there is no such tenant"
            continue
        announced, events = tenant_domain.announce(tenant, now=now)
        if events:
            tenants.save_tenant(store, announced, events, seq_before=0)
            users.forget_count(store, tenant_id)
            adopted.tenants.append(tenant_id)
    for user in identity.all():
        _adopt_user(store, user, adopted, now=now)
    return adopted


def _adopt_user(store: Store, user: PoolUser, adopted: Adopted, *, now: datetime) -> None:
    if user.tenant_id is None or users.find_user(store, user.tenant_id, user.user_id):
        return
    role = next((role for role in Role if role == user.role and role is not Role.PLATFORM_ADMIN), None)
    if role is None:
        adopted.left[user.email] = "custom:role is no role of a tenant"
        return
    invitation = Invitation(user.email, role, user.features, now)
    known, invited = user_domain.invite_user(
        user.tenant_id, invitation, user_id=user.user_id, username=user.username, now=now
    )
    try:
        users.adopt_user(store, user.tenant_id, known, invited)
    except TenantNotFound:
        adopted.left[user.email] = f"there is no tenant {user.tenant_id}"
    except UserExists:
        return
    else:
        adopted.users.append(user.email)
