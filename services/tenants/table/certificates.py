"""Certificates of deletion."""

from services.tenants.domain.certificate import Certificate, Removed
from services.tenants.errors import TenantNotFound
from services.tenants.table import SLICE
from shared.storage.items import Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from shared.times import from_text, to_text

SORT_KEY = "CERTIFICATE"


def certificate_to_item(tenant_id: str, certificate: Certificate) -> dict[str, Value]:
    """The certificate as it is stored, before any service has said something."""
    return {
        **_key(tenant_id).attributes,
        "tenant_id": tenant_id,
        "requested_by": certificate.requested_by,
        "requested_at": to_text(certificate.requested_at),
        "deleted_at": to_text(certificate.deleted_at),
        "removed": {},
    }


def get_certificate(store: Store, tenant_id: str) -> Certificate:
    """The certificate of a tenant's deletion.

    Raises:
        TenantNotFound: no tenant of this id was deleted.
    """
    item = store.get(_key(tenant_id))
    if item is None:
        raise TenantNotFound
    reader = Reader(item)
    removed = reader.map("removed")
    return Certificate(
        tenant_id=tenant_id,
        requested_by=reader.text("requested_by"),
        requested_at=from_text(reader.text("requested_at")),
        deleted_at=from_text(reader.text("deleted_at")),
        removed={
            service: Removed(removed.map(service).integer("items"), removed.map(service).integer("objects"))
            for service in removed.names
        },
    )


def add_removed(store: Store, tenant_id: str, *, service: str, removed: Removed) -> None:
    """Write down what a service has removed; said again, it is the same."""
    change = Expression(
        f"SET #removed.#{service} = :removed", {"removed": {"items": removed.items, "objects": removed.objects}}
    )
    store.update(_key(tenant_id), change, when=PRESENT)


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), SORT_KEY)
