"""Storage of tenants: the record of one tenant, and the list of all of them for operators."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.tenants.errors import TenantExists, TenantGone
from services.tenants.partitions import SLICE, config_key
from services.tenants.tenants.domain.settings import Settings, StoredSettings
from services.tenants.tenants.domain.tenant import Tenant
from services.tenants.tenants.table.items import TENANTS, TenantItem
from services.tenants.tenants.table.settings import SETTINGS_ATTRIBUTE, SettingsTable
from shared.events.envelope import Event
from shared.events.tenants import TenantState
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Item, key_of
from shared.storage.store import Store
from shared.storage.table import setting
from shared.storage.transaction import PRESENT, Expression, refuse_with
from shared.tenancy.context import TenantAccess


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """New settings, and the version of the settings that they replace."""

    values: Settings
    seq_before: int | None


class TenantRecord(TenantItem):
    """The tenant itself, with its settings."""

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self._settings = SettingsTable(store, tenant_id)

    def access(self) -> TenantAccess:
        """Return the facts that decide whether a change in the tenant is allowed.

        Raises:
            TenantNotFound: the tenant does not exist.
            TenantGone: the tenant was deleted.
        """
        item = self.store.get(self.key())
        if item is not None and self.is_tombstone(item):
            raise TenantGone
        return self.decode(self._require(item)).access

    def is_deleted(self) -> bool:
        """Return whether the tenant is deleted."""
        item = self.store.get(self.key())
        return item is not None and self.is_tombstone(item)

    def get_to_change(self) -> Tenant:
        """Return the tenant for a change, after moving settings of an earlier version out of its item.

        Raises:
            TenantNotFound: the tenant does not exist or was deleted.
        """
        item = self._require(self.store.get(self.key()))
        if SETTINGS_ATTRIBUTE in item:
            self._settings.move_from(item)
        return self.decode(item)

    def get_with_settings(self) -> tuple[Tenant, StoredSettings]:
        """Return the tenant and its settings, read together.

        A change that is based on inconsistent versions fails when it is saved.

        Raises:
            TenantNotFound: the tenant does not exist or was deleted.
        """
        config, own = self.key(), self._settings.key()
        found = self.store.get_many([config, own])
        item = self._require(found.get(config))
        return self.decode(item), self._settings.of_items(item, found.get(own))

    def settings(self) -> StoredSettings:
        """Return the settings after a change, which ensures that they have an item of their own."""
        return self._settings.find() or StoredSettings({})

    def create(
        self, tenant: Tenant, events: Sequence[Event[TenantState]], *, idempotency_key: IdempotencyKey | None
    ) -> None:
        """Write a new tenant.

        Raises:
            TenantExists: the id belongs to a tenant or belonged to a deleted one.
            AlreadyDone: an earlier attempt of this request has succeeded.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=self.tenant_id)
        self.add(transaction, tenant, otherwise=refuse_with(TenantExists()))
        transaction.emit(*events)
        self.store.commit(transaction)

    def save(
        self,
        tenant: Tenant,
        events: Sequence[Event[TenantState]],
        *,
        seq_before: int,
        settings: SettingsChange | None = None,
    ) -> None:
        """Write a new version of the tenant if its version is `seq_before`. Its counts do not change.

        Args:
            tenant: the new version of the tenant.
            events: the events of the change.
            seq_before: the replaced version. A tenant that was created with AWS tools has version 0.
            settings: the settings to save with it. None leaves them unchanged.

        Raises:
            TenantChangedMeanwhile: the tenant was changed or deleted meanwhile.
        """
        transaction = self.transaction()
        moved = {SETTINGS_ATTRIBUTE: None} if settings else {}
        transaction.update(
            self.key(),
            setting({**self.changed_to(tenant), **moved}),
            when=self.has_revision(seq_before),
            otherwise=refuse_with(self.changed()),
        )
        if settings:
            self._settings.put(transaction, StoredSettings(settings.values, tenant.seq), seq_before=settings.seq_before)
        transaction.emit(*events)
        self.store.commit(transaction)

    def save_usage(self, *, month: str, seq: int, requests: int, tokens: int, storage_gb: int) -> None:
        """Store a usage summary unless a newer one is stored. The tenant's version does not change."""
        change = Expression(
            "SET #current_usage.#monthly_requests = :requests, #current_usage.#monthly_tokens = :tokens, "
            "#current_usage.#storage_gb = :storage_gb, #usage_month = :month, #usage_seq = :seq",
            {"requests": requests, "tokens": tokens, "storage_gb": storage_gb, "month": month, "seq": seq},
        )
        newer = Expression(
            f"{PRESENT.text} AND attribute_exists(#current_usage) AND (attribute_not_exists(#usage_month) "
            "OR #usage_month < :month OR (#usage_month = :month AND #usage_seq < :seq))",
            {"month": month, "seq": seq},
        )
        moved = Expression(f"attribute_not_exists(#{SETTINGS_ATTRIBUTE}) AND {newer.text}", newer.values)
        refused = self.store.try_update(self.key(), change, when=moved)
        if refused and refused.existing and SETTINGS_ATTRIBUTE in refused.existing:
            self._settings.move_from(refused.existing)
            self.store.try_update(self.key(), change, when=newer)

    def _require(self, item: Item | None) -> Item:
        if item is None or self.is_tombstone(item):
            raise self.not_found
        return item


class AllTenants:
    """The tenants of the platform, by the time of their creation. For operators only.

    A tenant whose item is invalid is logged and omitted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, *, limit: int, after: str | None, newest_first: bool = True) -> tuple[list[Tenant], str | None]:
        """Return a page of tenants, and the cursor of the next page."""
        items, next_cursor = self._page_of_items(limit=limit, after=after, newest_first=newest_first)
        return [tenant for item in items if (tenant := self._read_or_log(item))], next_cursor

    def page_with_settings(
        self, *, limit: int, after: str | None
    ) -> tuple[list[tuple[Tenant, StoredSettings]], str | None]:
        """Return a page of tenants, newest first, with the settings of each."""
        items, next_cursor = self._page_of_items(limit=limit, after=after, newest_first=True)
        read = [
            (tenant, SettingsTable(self._store, _tenant_of(item)), item)
            for item in items
            if (tenant := self._read_or_log(item))
        ]
        own = self._store.get_many([settings.key() for _, settings, _ in read])
        found = [(tenant, settings.of_items(item, own.get(settings.key()))) for tenant, settings, item in read]
        return found, next_cursor

    def __iter__(self) -> Iterator[Tenant]:
        """Yield all tenants, oldest first."""
        after: str | None = None
        while True:
            tenants, after = self.page(limit=100, after=after, newest_first=False)
            yield from tenants
            if after is None:
                return

    def _page_of_items(self, *, limit: int, after: str | None, newest_first: bool) -> tuple[list[Item], str | None]:
        [pk] = TENANTS.keys
        start: Item | None = None
        if after:
            start = {"due_pk": pk, "due_sk": after, **config_key(after.partition("#")[2]).attributes}
        page = self._store.query(
            Expression("#due_pk = :pk", {"pk": pk}),
            index="due",
            newest_first=newest_first,
            limit=limit,
            resume_after=start,
        )
        keys = [key_of(item) for item in page.items]
        found = self._store.get_many(keys)
        items: list[Item] = [found[key] for key in keys if key in found and not TenantItem.is_tombstone(found[key])]
        return items, str(page.items[-1]["due_sk"]) if page.resume_after and page.items else None

    def _read_or_log(self, item: Item) -> Tenant | None:
        """Return the tenant in this item, or None if the item was written by hand and is invalid."""
        try:
            return TenantItem(self._store, _tenant_of(item)).decode(item)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.error("tenant unreadable", item=key_of(item).pk, **facts_of(error))
            return None


def _tenant_of(item: Item) -> str:
    return key_of(item).pk.split("#")[1]
