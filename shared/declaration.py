"""Declaration of a service: the single source for the infrastructure, and for the tests of the READMEs."""

from dataclasses import dataclass
from enum import StrEnum

from shared.tenancy.permissions import SCOPES, Feature, Role, scope_of

BATCH_SIZE = 10
"""Messages that a function receives at once, unless it declares another number."""


class Table(StrEnum):
    """The three tables; the value is the last part of the table's name."""

    TENANTS = "tenants"
    ENTITIES = "entities"
    USAGE = "usage"

    @property
    def variable(self) -> str:
        """The environment variable that holds the table's full name."""
        return f"{self.name}_TABLE_NAME"


@dataclass(frozen=True, slots=True)
class Slice:
    """The keys of one table that one service owns.

    Every partition key is `TENANT#<tenant>#<NAME>` or begins with `TENANT#<tenant>#<NAME>#`. A slice with
    `holds_tenant` also owns the bare key `TENANT#<tenant>`.
    """

    name: str
    table: Table
    holds_tenant: bool = False

    def key(self, tenant_id: str, *parts: str) -> str:
        """Return the partition key of `parts` in a tenant's slice."""
        return "#".join(("TENANT", tenant_id, self.name, *parts))

    def tenant_key(self, tenant_id: str) -> str:
        """Return the tenant's own key, without the name of a slice.

        Raises:
            ValueError: this slice does not hold that key.
        """
        if not self.holds_tenant:
            msg = f"the slice {self.name} does not hold the tenant's own key"
            raise ValueError(msg)
        return f"TENANT#{tenant_id}"

    def due_key(self, kind: str) -> str:
        """Return the partition key of one kind of entry in the `due` index, where entries are sorted by time."""
        return f"DUE#{self.name}#{kind}"


class Access(StrEnum):
    """The way in which a function accesses its service's slice."""

    NONE = "none"
    """The function reads no table."""
    TENANT = "tenant"
    """Access through the function's data role only, assumed with the session tag `tenant_id` of the request."""
    SLICE = "slice"
    """Access to the slice of every tenant, with the function's own role: events, schedules and direct invocations."""


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route and the permissions that it requires."""

    method: str
    path: str
    """The path in API Gateway's notation, for example `/v1/tenants/{tenant_id}/runs/{run_id}`."""
    min_role: Role | None
    """The least powerful role that may call the route; None for a route without a token."""
    feature: Feature | None = None
    """The feature that a change requires; reads require none."""

    @property
    def scope(self) -> str | None:
        """The scope that an API key with scopes needs, such as `runs:read`; None if API keys cannot call the route."""
        scope = scope_of(self.method, self.path)
        return scope if self.min_role is not None and scope in SCOPES else None


@dataclass(frozen=True, slots=True)
class ObjectGrant:
    """A grant on the artifacts bucket, limited to `tenants/<tenant>/`."""

    folder: str
    """The folder within the tenant's prefix, for example `agents`."""
    read: bool = True
    write: bool = False
    find: bool = False
    """Permission to list the objects, in their current versions only."""
    delete: bool = False
    """Permission to list and delete objects, with all their versions."""


def exports_of(service: str) -> str:
    """Return the folder of a service's part of exports.

    Each service has a folder of its own. In a common folder, the pattern `tenants/*/runs/*` would also match
    `tenants/acme/exports/runs/`.
    """
    return f"exports-{service}"


def writing_of_exports(service: str) -> ObjectGrant:
    """Return an exporter's grant on its folder. The exporter deletes its objects if the tenant was deleted."""
    return ObjectGrant(exports_of(service), read=False, write=True, delete=True)


class TenantSecrets(StrEnum):
    """A grant on the secrets of the current tenant, `ainexus-<env>/tenants/<tenant>/…`."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    """Create, update and delete secrets, without reading them."""
    DESTROY = "destroy"
    """Delete the secrets of any tenant, and nothing else: for functions that remove a tenant."""


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function, its triggers and its permissions."""

    name: str
    handler: str
    """The dotted path of the callable, for example `services.runs.functions.worker.handler`."""
    access: Access = Access.SLICE
    acts_for_tenants: bool = False
    """Whether a function with access to all tenants also has a data role, for requests of one tenant."""
    routes: tuple[Route, ...] = ()
    authorizes: bool = False
    """Whether API Gateway invokes it to identify callers."""
    subscriptions: tuple[str, ...] = ()
    """Event types, for example `run.queued.v1`. A function with subscriptions gets one rule, one queue and one
    dead-letter queue."""
    control: tuple[str, ...] = ()
    """The subscriptions that arrive through a separate queue, `<function>-control`. These events change the permissions
    of tenants and the configuration of runs, and must not wait behind the data of a busy tenant."""
    every_minutes: int | None = None
    objects: tuple[ObjectGrant, ...] = ()
    invokes: tuple[str, ...] = ()
    """Functions of the same service that it may invoke. Their full names are passed as `<NAME>_FUNCTION_NAME`."""
    secrets: tuple[str, ...] = ()
    """Secrets of the platform that it may read, for example `openai/key`."""
    tenant_secrets: TenantSecrets = TenantSecrets.NONE
    """`DESTROY` is for functions with access to all tenants, the other grants for functions that act for one tenant."""
    calls_models: bool = False
    """Permission to call the models of Bedrock."""
    reads_due: bool = False
    """Permission to query the slice's keys in the `due` index."""
    keys: tuple[str, ...] = ()
    """Patterns of keys outside of tenants that it may access in the slice's table, in addition to `access`."""
    queued: bool = False
    """Whether it has a queue that other functions of its service send to. A function with subscriptions always has a
    queue."""
    sends_to: tuple[str, ...] = ()
    """Functions of the same service whose queues it may send to. The URLs are passed as `<NAME>_QUEUE_URL`."""
    manages_users: bool = False
    """Permission to create, find, update and delete users in the user pool."""
    max_concurrency: int | None = None
    """The maximum concurrency, in environments that reserve it: for functions that mostly wait."""
    timeout_s: int = 29
    memory_mb: int = 512
    batch_size: int = BATCH_SIZE
    delay_s: int = 0
    """Seconds for which the queue delays each message, at most 900."""

    @property
    def has_data_role(self) -> bool:
        """Whether it can assume a role that is limited to one tenant's data."""
        return self.access is Access.TENANT or self.acts_for_tenants

    @property
    def has_queue(self) -> bool:
        """Whether a queue triggers the function."""
        return self.queued or bool(self.subscriptions)

    @property
    def data(self) -> tuple[str, ...]:
        """The subscriptions that arrive through the queue with the function's own name."""
        return tuple(event_type for event_type in self.subscriptions if event_type not in self.control)


def remover_of(
    service: str,
    handler: str,
    subscriptions: tuple[str, ...],
    *,
    folder: str = "",
    tenant_secrets: TenantSecrets = TenantSecrets.NONE,
    manages_users: bool = False,
) -> Function:
    """Return the function that removes the data of deleted tenants from a service (`shared.removal`), one at a time.

    A removal mostly waits, and a large tenant may take the whole time limit, which must delay no other tenant.

    Args:
        service: the name of the service.
        handler: the dotted path of the callable.
        subscriptions: the event types that trigger the function.
        folder: the folder of the service's objects; empty if it has none.
        tenant_secrets: see `Function`.
        manages_users: see `Function`.
    """
    folders = (folder, exports_of(service)) if folder else (exports_of(service),)
    return Function(
        "remover",
        handler,
        subscriptions=subscriptions,
        objects=tuple(ObjectGrant(one, read=False, delete=True) for one in folders),
        tenant_secrets=tenant_secrets,
        manages_users=manages_users,
        timeout_s=900,
        batch_size=1,
    )


def exporter_of(service: str, handler: str, subscriptions: tuple[str, ...], *, folder: str = "") -> Function:
    """Return the function that exports the data of a tenant from a service (`shared.export`), one part at a time.

    Args:
        service: the name of the service.
        handler: the dotted path of the callable.
        subscriptions: the event types that trigger the function.
        folder: the folder of the service's objects; empty if it has none.
    """
    found = (ObjectGrant(folder, find=True),) if folder else ()
    return Function(
        "exporter",
        handler,
        access=Access.TENANT,
        subscriptions=subscriptions,
        objects=(*found, writing_of_exports(service)),
        timeout_s=900,
        memory_mb=1024,
        batch_size=1,
    )


USUAL_ALARMS = ("dead-letters", "errors", "throttles", "queue-age", "latency")
"""The alarms that apply to every service."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the mesh."""

    name: str
    purpose: str
    slice: Slice
    functions: tuple[Function, ...]
    emits: tuple[str, ...] = ()
    """Event types that the service may put into its outbox."""
    alarms: tuple[str, ...] = USUAL_ALARMS
    """The service's alarms, by the names of their sections in the runbook."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of all functions."""
        return tuple(route for function in self.functions for route in function.routes)

    @property
    def consumes(self) -> tuple[str, ...]:
        """The event types that trigger the service's functions, sorted."""
        return tuple(sorted({event for function in self.functions for event in function.subscriptions}))
