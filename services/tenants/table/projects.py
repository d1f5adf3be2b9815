"""Reading and writing projects."""

from services.tenants.domain.project import Project
from services.tenants.errors import ProjectLimitReached, ProjectNotFound
from services.tenants.table import SLICE
from services.tenants.table.counts import give_place_back, take_place
from shared.errors import PreconditionFailed
from shared.events.envelope import Event
from shared.events.tenants import ProjectCreated, ProjectDeleted
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.listing import newest_first
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.times import from_text, to_text


def get_project(store: Store, tenant_id: str, project_id: str) -> Project:
    """One project.

    Raises:
        ProjectNotFound: this tenant has none with this id.
    """
    item = store.get(_project_key(tenant_id, project_id))
    if item is None:
        raise ProjectNotFound
    return _project_from_item(item)


def list_projects(store: Store, tenant_id: str, *, limit: int, after: str | None) -> tuple[list[Project], str | None]:
    """A page of projects, newest first, and the place to go on from."""
    items, place = newest_first(store, pk=SLICE.key(tenant_id), prefix="PROJECT#", limit=limit, after=after)
    return [_project_from_item(item) for item in items], place


def add_project(
    store: Store, tenant_id: str, project: Project, created: Event[ProjectCreated], *, once: Once | None
) -> None:
    """Write a new project and count it against the tenant's limit, both or neither.

    Raises:
        ProjectLimitReached: the plan allows no more.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(tenant_id)
    if once:
        once.remember(transaction, SLICE, resource_id=project.project_id)
    take_place(transaction, "projects", limit="max_projects", otherwise=refuse_with(ProjectLimitReached()))
    transaction.put(_project_to_item(tenant_id, project), when=ABSENT)
    transaction.emit(created)
    store.commit(transaction)


def save_project(store: Store, tenant_id: str, project: Project) -> None:
    """Write a changed project over the version before it.

    Raises:
        PreconditionFailed: it was changed or deleted meanwhile.
    """
    transaction = Transaction(tenant_id)
    transaction.put(
        _project_to_item(tenant_id, project), when=_is_version(project.seq - 1), otherwise=_changed_meanwhile
    )
    store.commit(transaction)


def remove_project(store: Store, tenant_id: str, project: Project, deleted: Event[ProjectDeleted]) -> None:
    """Delete a project and give its place back.

    Raises:
        PreconditionFailed: it was changed meanwhile.
        ProjectNotFound: it was deleted meanwhile.
    """
    transaction = Transaction(tenant_id)
    transaction.delete(
        _project_key(tenant_id, project.project_id), when=_is_version(project.seq), otherwise=_changed_meanwhile
    )
    give_place_back(transaction, "projects")
    transaction.emit(deleted)
    store.commit(transaction)


def _is_version(seq: int) -> Expression:
    return Expression("#seq = :seq", {"seq": seq})


def _changed_meanwhile(there: Item | None) -> Exception:
    if there is None:
        return ProjectNotFound()
    return PreconditionFailed("The project was changed at the same time; read it again.")


def _project_key(tenant_id: str, project_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"PROJECT#{project_id}")


def _project_to_item(tenant_id: str, project: Project) -> dict[str, Value]:
    return {
        **_project_key(tenant_id, project.project_id).attributes,
        "project_id": project.project_id,
        "name": project.name,
        "description": project.description,
        "seq": project.seq,
        "created_at": to_text(project.created_at),
        "updated_at": to_text(project.updated_at),
    }


def _project_from_item(item: Item) -> Project:
    reader = Reader(item)
    return Project(
        project_id=reader.text("project_id"),
        name=reader.text("name"),
        description=reader.optional_text("description"),
        seq=reader.integer("seq"),
        created_at=from_text(reader.text("created_at")),
        updated_at=from_text(reader.text("updated_at")),
    )
