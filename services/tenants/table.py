"""The tenants slice.

TENANT#<t>            CONFIG              the tenant; in the `due` index under DUE#TENANTS#TENANT, by time
TENANT#<t>#TENANTS    PROJECT#<prj_…>     a project
TENANT#<t>#TENANTS    USER#<sub>          a user
"""

from collections.abc import Iterator
from datetime import datetime
from typing import cast

from services.tenants.domain import CurrentUsage, Project, Status, Tenant, User
from services.tenants.errors import (
    ProjectLimitReached,
    ProjectNotFound,
    TenantExists,
    TenantNotFound,
    UserLimitReached,
)
from shared.declaration import Slice, Table
from shared.errors import PreconditionFailed
from shared.events.envelope import Event
from shared.events.tenants import ProjectCreated, ProjectDeleted, TenantCreated, UserInvited
from shared.plans import Limits, Plan
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.listing import newest_first
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Refusal, Transaction, refuse_with
from shared.tenancy.permissions import Role
from shared.times import from_text, to_text

SLICE = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
_TENANTS = SLICE.due_key("TENANT")


def config_key(tenant_id: str) -> Key:
    """Where the tenant itself lies."""
    return Key(SLICE.tenant_key(tenant_id), "CONFIG")


def get_tenant(store: Store, tenant_id: str) -> Tenant:
    """The tenant.

    Raises:
        TenantNotFound: there is none.
    """
    item = store.get(config_key(tenant_id))
    if item is None:
        raise TenantNotFound
    return tenant_from_item(item)


def list_tenants(store: Store) -> Iterator[Tenant]:
    """All tenants, oldest first; for operators only."""
    resume_after: Item | None = None
    while True:
        page = store.query(
            Expression("#due_pk = :pk", {"pk": _TENANTS}), index="due", limit=100, resume_after=resume_after
        )
        keys = [Key(str(item["PK"]), str(item["SK"])) for item in page.items]
        found = store.get_many(keys)
        yield from (tenant_from_item(found[key]) for key in keys if key in found)
        resume_after = page.resume_after
        if resume_after is None:
            return


def add_tenant(store: Store, tenant: Tenant, created: Event[TenantCreated]) -> None:
    """Write a new tenant.

    Raises:
        TenantExists: the id is taken.
    """
    transaction = Transaction(tenant.tenant_id)
    transaction.put(tenant_to_item(tenant), when=ABSENT, otherwise=refuse_with(TenantExists()))
    transaction.emit(created)
    store.commit(transaction)


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
    _count(transaction, "projects", limit="max_projects", otherwise=refuse_with(ProjectLimitReached()))
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
    transaction.update(
        config_key(tenant_id),
        Expression("SET #current_usage.#projects = #current_usage.#projects - :one", {"one": 1}),
        when=PRESENT,
        otherwise=refuse_with(TenantNotFound()),
    )
    transaction.emit(deleted)
    store.commit(transaction)


def find_user(store: Store, tenant_id: str, user_id: str) -> User | None:
    """One user, or None."""
    item = store.get(_user_key(tenant_id, user_id))
    return _user_from_item(item) if item else None


def list_users(store: Store, tenant_id: str) -> list[User]:
    """All users of the tenant; there are at most as many as its plan allows."""
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key(tenant_id), "prefix": "USER#"})
    return [_user_from_item(item) for item in store.query_all(condition)]


def add_user(store: Store, tenant_id: str, user: User, invited: Event[UserInvited]) -> None:
    """Write a new user and count it against the tenant's limit, both or neither.

    Raises:
        UserLimitReached: the plan allows no more.
    """
    transaction = Transaction(tenant_id)
    _count(transaction, "users", limit="max_users", otherwise=refuse_with(UserLimitReached()))
    transaction.put(_user_to_item(tenant_id, user), when=ABSENT)
    transaction.emit(invited)
    store.commit(transaction)


def _count(transaction: Transaction, name: str, *, limit: str, otherwise: Refusal) -> None:
    """One more of these, if the limit allows it; two at once at the limit cannot both pass."""
    transaction.update(
        config_key(transaction.tenant_id),
        Expression(f"SET #current_usage.#{name} = #current_usage.#{name} + :one", {"one": 1}),
        when=Expression(
            f"#limits.#{limit} = :unlimited OR #current_usage.#{name} < #limits.#{limit}", {"unlimited": -1}
        ),
        otherwise=otherwise,
    )


def _is_version(seq: int) -> Expression:
    return Expression("#seq = :seq", {"seq": seq})


def _changed_meanwhile(there: Item | None) -> Exception:
    if there is None:
        return ProjectNotFound()
    return PreconditionFailed("The project was changed at the same time; read it again.")


def tenant_to_item(tenant: Tenant) -> dict[str, Value]:
    """The tenant as it is stored; the attribute names are those that operators know."""
    usage = tenant.usage
    return {
        **config_key(tenant.tenant_id).attributes,
        "tenantId": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "limits": tenant.limits.to_item(),
        "current_usage": {
            "users": usage.users,
            "projects": usage.projects,
            "storage_gb": usage.storage_gb,
            "monthly_requests": usage.monthly_requests,
            "monthly_tokens": usage.monthly_tokens,
        },
        "status": tenant.status,
        "seq": tenant.seq,
        "created_at": to_text(tenant.created_at),
        "updated_at": to_text(tenant.updated_at),
        "due_pk": _TENANTS,
        "due_sk": f"{to_text(tenant.created_at)}#{tenant.tenant_id}",
    }


def tenant_from_item(item: Item) -> Tenant:
    """The tenant in this item; one that was made with AWS tools has no `seq` yet."""
    reader = Reader(item)
    limits, usage = reader.map("limits"), reader.map("current_usage")
    return Tenant(
        tenant_id=reader.text("tenantId"),
        name=reader.text("name"),
        plan=Plan(reader.text("plan")),
        limits=Limits(
            max_users=limits.integer("max_users"),
            max_projects=limits.integer("max_projects"),
            max_requests_per_month=limits.integer("max_requests_per_month"),
            max_tokens_per_month=limits.integer("max_tokens_per_month"),
            max_storage_gb=limits.integer("max_storage_gb"),
            enabled_features=limits.texts("enabled_features"),
        ),
        usage=CurrentUsage(
            users=usage.integer("users"),
            projects=usage.integer("projects"),
            storage_gb=usage.integer("storage_gb"),
            monthly_requests=usage.integer("monthly_requests"),
            monthly_tokens=usage.integer("monthly_tokens"),
        ),
        status=cast("Status", reader.text("status")),
        seq=reader.optional_integer("seq") or 0,
        created_at=_time(reader, "created_at"),
        updated_at=_time(reader, "updated_at"),
    )


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
        created_at=_time(reader, "created_at"),
        updated_at=_time(reader, "updated_at"),
    )


def _user_key(tenant_id: str, user_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"USER#{user_id}")


def _user_to_item(tenant_id: str, user: User) -> dict[str, Value]:
    return {
        **_user_key(tenant_id, user.user_id).attributes,
        "user_id": user.user_id,
        "email": user.email,
        "role": user.role,
        "created_at": to_text(user.created_at),
    }


def _user_from_item(item: Item) -> User:
    reader = Reader(item)
    return User(reader.text("user_id"), reader.text("email"), Role(reader.text("role")), _time(reader, "created_at"))


def _time(reader: Reader, name: str) -> datetime:
    return from_text(reader.text(name))
