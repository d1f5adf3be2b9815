"""Reading and writing exports."""

from services.tenants.domain.export import Export, Share
from services.tenants.errors import ExportNotFound, TenantNotFound
from services.tenants.table import SLICE, config_key
from shared.copies.tenant_access import DELETED
from shared.events.envelope import Event
from shared.events.tenants import TenantDataExported, TenantExportRequested
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from shared.stored import Stored
from shared.times import from_text, to_text


def add_export(store: Store, export: Export, said: Event[TenantExportRequested], *, once: Once | None) -> None:
    """Write a new export.

    Raises:
        TenantNotFound: the tenant has gone meanwhile.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(export.tenant_id)
    if once:
        once.remember(transaction, SLICE, resource_id=export.export_id)
    there = Expression(f"{PRESENT.text} AND #status <> :gone", {"gone": DELETED})
    transaction.check(config_key(export.tenant_id), when=there, otherwise=refuse_with(TenantNotFound()))
    transaction.put(_to_item(export), when=ABSENT)
    transaction.emit(said)
    store.commit(transaction)


def get_export(store: Store, tenant_id: str, export_id: str) -> Export:
    """One export.

    Raises:
        ExportNotFound: there is none, or the tenant is gone.
    """
    item = store.get(_key(tenant_id, export_id))
    if item is None:
        raise ExportNotFound
    return _from_item(tenant_id, item)


def keep_share(store: Store, tenant_id: str, event: Event[TenantDataExported]) -> Export | None:
    """Write down that a service is done; None: there is no such export any more."""
    said = event.data
    share: dict[str, Value] = {
        "files": said.files,
        "lines": said.lines,
        "index_key": said.index_key,
        "index_sha256": said.index_sha256,
        "said_at": to_text(event.occurred_at),
    }
    key = _key(tenant_id, said.export_id)
    item = store.update(key, Expression(f"SET #shares.#{said.service} = :share", {"share": share}), when=PRESENT)
    return _from_item(tenant_id, item) if item else None


def keep_manifest(store: Store, export: Export, manifest: Stored) -> bool:
    """Write down where the manifest lies; False: there is no such export any more."""
    change = Expression(
        "SET #manifest_key = :key, #manifest_sha256 = :sha256", {"key": manifest.key, "sha256": manifest.sha256}
    )
    return store.update(_key(export.tenant_id, export.export_id), change, when=PRESENT) is not None


def _key(tenant_id: str, export_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"EXPORT#{export_id}")


def _to_item(export: Export) -> dict[str, Value]:
    return {
        **_key(export.tenant_id, export.export_id).attributes,
        "export_id": export.export_id,
        "requested_by": export.requested_by,
        "requested_at": to_text(export.requested_at),
        "shares": {},
    }


def _from_item(tenant_id: str, item: Item) -> Export:
    reader = Reader(item)
    shares = reader.map("shares")
    return Export(
        export_id=reader.text("export_id"),
        tenant_id=tenant_id,
        requested_by=reader.text("requested_by"),
        requested_at=from_text(reader.text("requested_at")),
        shares={service: _share(shares.map(service)) for service in shares.names},
        manifest=_manifest(reader),
    )


def _share(reader: Reader) -> Share:
    return Share(
        files=reader.integer("files"),
        lines=reader.integer("lines"),
        index=Stored(reader.text("index_key"), reader.text("index_sha256")),
        said_at=from_text(reader.text("said_at")),
    )


def _manifest(reader: Reader) -> Stored | None:
    key = reader.optional_text("manifest_key")
    return Stored(key, reader.text("manifest_sha256")) if key else None
