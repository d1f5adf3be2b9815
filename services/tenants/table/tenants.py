"""Reading and writing tenants."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from services.tenants.domain.certificate import Certificate
from services.tenants.domain.tenant import Tenant
from services.tenants.errors import TenantChangedMeanwhile, TenantExists, TenantNotFound
from services.tenants.table import SLICE, config_key
from services.tenants.table.certificates import certificate_to_item
from services.tenants.table.items import TENANTS, is_tombstone, tenant_from_item, tenant_to_item, tombstone
from shared.events.envelope import Event
from shared.events.tenants import TenantDeleted, TenantState
from shared.storage.idempotency import Once
from shared.storage.items import Item, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with

_COUNTED_ELSEWHERE = frozenset({"PK", "SK", "current_usage", "tenant_admins"})


def get_tenant(store: Store, tenant_id: str) -> Tenant:
    """The tenant.

    Raises:
        TenantNotFound: there is none, or none any more.
    """
    item = store.get(config_key(tenant_id))
    if item is None or is_tombstone(item):
        raise TenantNotFound
    return tenant_from_item(item)


def page_of_tenants(
    store: Store, *, limit: int, after: str | None, newest_first: bool = True
) -> tuple[list[Tenant], str | None]:
    """A page of all tenants by the time they were made, and the place to go on from; for operators only."""
    start: Item | None = None
    if after:
        start = {"due_pk": TENANTS, "due_sk": after, **config_key(after.partition("#")[2]).attributes}
    all_of_them = Expression("#due_pk = :pk", {"pk": TENANTS})
    page = store.query(all_of_them, index="due", newest_first=newest_first, limit=limit, resume_after=start)
    keys = [key_of(item) for item in page.items]
    found = store.get_many(keys)
    tenants = [tenant_from_item(found[key]) for key in keys if key in found and not is_tombstone(found[key])]
    return tenants, str(page.items[-1]["due_sk"]) if page.resume_after and page.items else None


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


def save_tenant(store: Store, tenant: Tenant, events: Sequence[Event[TenantState]], *, seq_before: int) -> None:
    """Write a changed tenant over the version that this was decided on; its counts are not touched.

    Args:
        store: the slice.
        tenant: as it is to be.
        events: that say so.
        seq_before: the version; 0 is that of a tenant which was made with AWS tools.

    Raises:
        TenantChangedMeanwhile: it is another version by now, or gone.
    """
    written = {name: value for name, value in tenant_to_item(tenant).items() if name not in _COUNTED_ELSEWHERE}
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in written)
    transaction = Transaction(tenant.tenant_id)
    transaction.update(
        config_key(tenant.tenant_id),
        Expression(text, written),
        when=_version(seq_before),
        otherwise=refuse_with(TenantChangedMeanwhile()),
    )
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
    store.update(config_key(tenant_id), change, when=newer)


def _version(seq: int) -> Expression:
    if seq:
        return Expression("#seq = :seq_before", {"seq_before": seq})
    return Expression(f"{PRESENT.text} AND attribute_not_exists(#seq)")
