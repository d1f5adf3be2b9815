"""Reading and writing tenants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tenants.domain.certificate import Certificate
from services.tenants.domain.settings import Settings, StoredSettings
from services.tenants.domain.tenant import Tenant
from services.tenants.errors import TenantChangedMeanwhile, TenantExists, TenantGone, TenantNotFound
from services.tenants.table import SLICE, config_key
from services.tenants.table.certificates import certificate_to_item
from services.tenants.table.items import TENANTS, is_tombstone, tenant_from_item, tenant_to_item, tombstone
from services.tenants.table.settings import (
    IN_TENANT,
    move_settings,
    put_settings,
    settings_from_items,
    settings_key,
)
from shared.events.envelope import Event
from shared.events.tenants import TenantDeleted, TenantState
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.idempotency import Once
from shared.storage.items import Item, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.tenancy.context import TenantAccess

_COUNTED_ELSEWHERE = frozenset({"PK", "SK", "current_usage", "tenant_admins"})


def get_tenant(store: Store, tenant_id: str) -> Tenant:
    """The tenant.

    Raises:
        TenantNotFound: there is none, or none any more.
    """
    return tenant_from_item(_live(store.get(config_key(tenant_id))))


def get_access(store: Store, tenant_id: str) -> TenantAccess:
    """Return what decides about changes in the tenant.

    Raises:
        TenantNotFound: there is none.
        TenantGone: it was deleted.
    """
    item = store.get(config_key(tenant_id))
    if item is not None and is_tombstone(item):
        raise TenantGone
    return tenant_from_item(_live(item)).access


def get_tenant_to_change(store: Store, tenant_id: str) -> Tenant:
    """Return the tenant, with settings of an earlier version moved out of its item so that it can be written.

    Raises:
        TenantNotFound: there is none, or none any more.
    """
    item = _live(store.get(config_key(tenant_id)))
    if IN_TENANT in item:
        move_settings(store, tenant_id, item)
    return tenant_from_item(item)


def get_tenant_with_settings(store: Store, tenant_id: str) -> tuple[Tenant, StoredSettings]:
    """Return the tenant and its settings in one read. A change between the two fails when it is written.

    Raises:
        TenantNotFound: there is none, or none any more.
    """
    config, own = config_key(tenant_id), settings_key(tenant_id)
    found = store.get_many([config, own])
    item = _live(found.get(config))
    return tenant_from_item(item), settings_from_items(item, found.get(own))


def get_settings(store: Store, tenant_id: str) -> StoredSettings:
    """Return the settings of a tenant whose item was changed, so that they are in an item of their own."""
    return settings_from_items({}, store.get(settings_key(tenant_id)))


def page_of_tenants(
    store: Store, *, limit: int, after: str | None, newest_first: bool = True
) -> tuple[list[Tenant], str | None]:
    """Return a page of all tenants by the time of their creation, and the place to go on from; for operators only.

    A tenant whose item cannot be read is logged and left out.
    """
    items, place = _page_of_items(store, limit=limit, after=after, newest_first=newest_first)
    return [tenant for item in items if (tenant := _readable(item))], place


def page_of_tenants_with_settings(
    store: Store, *, limit: int, after: str | None
) -> tuple[list[tuple[Tenant, StoredSettings]], str | None]:
    """As `page_of_tenants`, newest first, with the settings of each."""
    items, place = _page_of_items(store, limit=limit, after=after, newest_first=True)
    read = [(tenant, item) for item in items if (tenant := _readable(item))]
    own = store.get_many([settings_key(tenant.tenant_id) for tenant, _ in read])
    found = [(tenant, settings_from_items(item, own.get(settings_key(tenant.tenant_id)))) for tenant, item in read]
    return found, place


def _page_of_items(
    store: Store, *, limit: int, after: str | None, newest_first: bool
) -> tuple[Sequence[Item], str | None]:
    start: Item | None = None
    if after:
        start = {"due_pk": TENANTS, "due_sk": after, **config_key(after.partition("#")[2]).attributes}
    all_of_them = Expression("#due_pk = :pk", {"pk": TENANTS})
    page = store.query(all_of_them, index="due", newest_first=newest_first, limit=limit, resume_after=start)
    keys = [key_of(item) for item in page.items]
    found = store.get_many(keys)
    items = [found[key] for key in keys if key in found and not is_tombstone(found[key])]
    return items, str(page.items[-1]["due_sk"]) if page.resume_after and page.items else None


def _readable(item: Item) -> Tenant | None:
    """Return the tenant in this item; None when it was made by hand and is none, which must not hide the others."""
    try:
        return tenant_from_item(item)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.error("tenant unreadable", item=key_of(item).pk, **facts_of(error))
        return None


def _live(item: Item | None) -> Item:
    if item is None or is_tombstone(item):
        raise TenantNotFound
    return item


def list_tenants(store: Store) -> Iterator[Tenant]:
    """All tenants, oldest first; for operators only."""
    after: str | None = None
    while True:
        tenants, after = page_of_tenants(store, limit=100, after=after, newest_first=False)
        yield from tenants
        if after is None:
            return


def add_tenant(store: Store, tenant: Tenant, events: Sequence[Event[TenantState]], *, once: Once | None) -> None:
    """Write a new tenant.

    Raises:
        TenantExists: the id is taken.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(tenant.tenant_id)
    if once:
        once.remember(transaction, SLICE, resource_id=tenant.tenant_id)
    transaction.put(tenant_to_item(tenant), when=ABSENT, otherwise=refuse_with(TenantExists()))
    transaction.emit(*events)
    store.commit(transaction)


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """Settings as they are to be, and the version that they were merged with."""

    values: Settings
    seq_before: int | None


def save_tenant(
    store: Store,
    tenant: Tenant,
    events: Sequence[Event[TenantState]],
    *,
    seq_before: int,
    settings: SettingsChange | None = None,
) -> None:
    """Write a changed tenant over the version that this was decided on; its counts are not touched.

    Args:
        store: the slice.
        tenant: as it is to be.
        events: of the change.
        seq_before: the version; 0 is that of a tenant which was made with AWS tools.
        settings: written with it; None leaves them as they are.

    Raises:
        TenantChangedMeanwhile: it is another version by now, or gone.
    """
    written = {name: value for name, value in tenant_to_item(tenant).items() if name not in _COUNTED_ELSEWHERE}
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in written)
    if settings:
        text += f" REMOVE #{IN_TENANT}"
    transaction = Transaction(tenant.tenant_id)
    transaction.update(
        config_key(tenant.tenant_id),
        Expression(text, written),
        when=_version(seq_before),
        otherwise=refuse_with(TenantChangedMeanwhile()),
    )
    if settings:
        put_settings(transaction, settings.values, seq=tenant.seq, seq_before=settings.seq_before)
    transaction.emit(*events)
    store.commit(transaction)


def bury_tenant(
    store: Store, tenant: Tenant, deleted: Event[TenantDeleted], certificate: Certificate, *, now: datetime
) -> None:
    """Leave of a tenant only its id, which is never given again, and the certificate; and say that it is gone.

    Raises:
        TenantChangedMeanwhile: it is gone already.
    """
    transaction = Transaction(tenant.tenant_id)
    transaction.put(
        tombstone(tenant, seq=deleted.seq, now=now),
        when=_version(tenant.seq),
        otherwise=refuse_with(TenantChangedMeanwhile()),
    )
    transaction.put(certificate_to_item(tenant.tenant_id, certificate))
    transaction.emit(deleted)
    store.commit(transaction)


def is_buried(store: Store, tenant_id: str) -> bool:
    """Whether the tenant is gone."""
    item = store.get(config_key(tenant_id))
    return item is not None and is_tombstone(item)


def keep_usage(
    store: Store, tenant_id: str, *, month: str, seq: int, requests: int, tokens: int, storage_gb: int
) -> None:
    """Write what metering has summed up, over what is older; the tenant's version stays as it is."""
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
    key = config_key(tenant_id)
    moved = Expression(f"attribute_not_exists(#{IN_TENANT}) AND {newer.text}", newer.values)
    refused = store.try_update(key, change, when=moved)
    if refused and refused.there and IN_TENANT in refused.there:
        move_settings(store, tenant_id, refused.there)
        store.try_update(key, change, when=newer)


def _version(seq: int) -> Expression:
    if seq:
        return Expression("#seq = :seq_before", {"seq_before": seq})
    return Expression(f"{PRESENT.text} AND attribute_not_exists(#seq)")
