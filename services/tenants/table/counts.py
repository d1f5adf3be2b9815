"""The counts of a tenant, as parts of the transactions that change what they count."""

from services.tenants.errors import LastTenantAdmin, TenantNotFound
from services.tenants.table import config_key
from shared.storage.transaction import Expression, Refusal, Transaction, refuse_with

_THERE = Expression("attribute_exists(#current_usage)")
"""Of a deleted tenant nothing is left that could be counted."""
_GONE = refuse_with(TenantNotFound())


def take_place(transaction: Transaction, counted: str, *, limit: str, otherwise: Refusal) -> None:
    """One more of these, if the limit allows it; two at once at the limit cannot both pass."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression(f"SET #current_usage.#{counted} = #current_usage.#{counted} + :one", {"one": 1}),
        when=Expression(
            f"#limits.#{limit} = :unlimited OR #current_usage.#{counted} < #limits.#{limit}", {"unlimited": -1}
        ),
        otherwise=otherwise,
    )


def give_place_back(transaction: Transaction, counted: str) -> None:
    """One less of these."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression(f"SET #current_usage.#{counted} = #current_usage.#{counted} - :one", {"one": 1}),
        when=_THERE,
        otherwise=_GONE,
    )


def count_adopted_user(transaction: Transaction, *, is_admin: bool) -> None:
    """A user that was there already, whatever the limit is."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression(
            "SET #current_usage.#users = #current_usage.#users + :one, "
            "#tenant_admins = if_not_exists(#tenant_admins, :none) + :admins",
            {"one": 1, "none": 0, "admins": int(is_admin)},
        ),
        when=_THERE,
        otherwise=_GONE,
    )


def count_admin(transaction: Transaction) -> None:
    """One more who can administer the tenant."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression("SET #tenant_admins = if_not_exists(#tenant_admins, :none) + :one", {"none": 0, "one": 1}),
        when=_THERE,
        otherwise=_GONE,
    )


def discount_admin(transaction: Transaction) -> None:
    """One less who can; the last one stays, also when two want to go at once."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression("SET #tenant_admins = #tenant_admins - :one", {"one": 1}),
        when=Expression("#tenant_admins > :one", {"one": 1}),
        otherwise=refuse_with(LastTenantAdmin()),
    )


def require_tenant(transaction: Transaction) -> None:
    """Let the change happen only in a tenant that is not deleted."""
    transaction.check(config_key(transaction.tenant_id), when=_THERE, otherwise=_GONE)


def count_from_nothing(transaction: Transaction) -> None:
    """Whatever number somebody has written by hand, the users that are known are none yet."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression("SET #current_usage.#users = :none, #tenant_admins = :none", {"none": 0}),
        when=_THERE,
        otherwise=_GONE,
    )
