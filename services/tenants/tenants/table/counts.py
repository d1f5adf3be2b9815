"""The counts of a tenant, which are updated in the transactions that add or remove the counted resources."""

from services.tenants.errors import LastTenantAdmin, TenantNotFound
from services.tenants.tenants.table.items import TenantItem
from shared.storage.transaction import Expression, Refusal, Transaction, refuse_with

_NOT_DELETED = Expression("attribute_exists(#current_usage)")
"""The tenant is not deleted: a tombstone has no counts."""
_REFUSE_DELETED = refuse_with(TenantNotFound())


class TenantCounts(TenantItem):
    """The counts in a tenant's item. Each method adds one action to a transaction."""

    def increment(self, transaction: Transaction, counted: str, *, limit: str, otherwise: Refusal) -> None:
        """Increment a count, unless it has reached its limit. Concurrent requests cannot exceed it."""
        transaction.update(
            self.key(),
            Expression(f"SET #current_usage.#{counted} = #current_usage.#{counted} + :one", {"one": 1}),
            when=Expression(
                f"#limits.#{limit} = :unlimited OR #current_usage.#{counted} < #limits.#{limit}", {"unlimited": -1}
            ),
            otherwise=otherwise,
        )

    def decrement(self, transaction: Transaction, counted: str) -> None:
        """Decrement a count."""
        one_less = f"SET #current_usage.#{counted} = #current_usage.#{counted} - :one"
        self._update(transaction, Expression(one_less, {"one": 1}))

    def add_imported_user(self, transaction: Transaction, *, is_admin: bool) -> None:
        """Count an imported user, even above the limit."""
        counted = Expression(
            "SET #current_usage.#users = #current_usage.#users + :one, "
            "#tenant_admins = if_not_exists(#tenant_admins, :none) + :admins",
            {"one": 1, "none": 0, "admins": int(is_admin)},
        )
        self._update(transaction, counted)

    def add_admin(self, transaction: Transaction) -> None:
        """Increment the count of active admins."""
        one_more = "SET #tenant_admins = if_not_exists(#tenant_admins, :none) + :one"
        self._update(transaction, Expression(one_more, {"none": 0, "one": 1}))

    def remove_admin(self, transaction: Transaction) -> None:
        """Decrement the count of active admins, unless it is 1. Concurrent requests cannot remove the last admin."""
        transaction.update(
            self.key(),
            Expression("SET #tenant_admins = #tenant_admins - :one", {"one": 1}),
            when=Expression("#tenant_admins > :one", {"one": 1}),
            otherwise=refuse_with(LastTenantAdmin()),
        )

    def add_api_key(self, transaction: Transaction, *, maximum: int, otherwise: Refusal) -> None:
        """Increment the count of API keys, unless it has reached the maximum."""
        transaction.update(
            self.key(),
            Expression("SET #api_keys = if_not_exists(#api_keys, :none) + :one", {"none": 0, "one": 1}),
            when=Expression(
                f"{_NOT_DELETED.text} AND (attribute_not_exists(#api_keys) OR #api_keys < :maximum)",
                {"maximum": maximum},
            ),
            otherwise=otherwise,
        )

    def remove_api_key(self, transaction: Transaction) -> None:
        """Decrement the count of API keys."""
        self._update(transaction, Expression("SET #api_keys = #api_keys - :one", {"one": 1}))

    def require_tenant(self, transaction: Transaction) -> None:
        """Make the transaction fail if the tenant is deleted."""
        transaction.check(self.key(), when=_NOT_DELETED, otherwise=_REFUSE_DELETED)

    def reset(self, transaction: Transaction) -> None:
        """Reset the counts of users and admins, which were written by hand, before users are imported."""
        self._update(transaction, Expression("SET #current_usage.#users = :none, #tenant_admins = :none", {"none": 0}))

    def _update(self, transaction: Transaction, change: Expression) -> None:
        transaction.update(self.key(), change, when=_NOT_DELETED, otherwise=_REFUSE_DELETED)
