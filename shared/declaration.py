"""What a service says of itself, once; infra builds from it and the tests hold the READMEs to it."""

from dataclasses import dataclass
from enum import StrEnum

from shared.tenancy.permissions import Feature, Role


class Table(StrEnum):
    """The three tables; the value is the last part of the table's name."""

    TENANTS = "tenants"
    ENTITIES = "entities"
    USAGE = "usage"

    @property
    def variable(self) -> str:
        """The environment variable that carries the table's full name."""
        return f"{self.name}_TABLE_NAME"


@dataclass(frozen=True, slots=True)
class Slice:
    """The keys of one table that one service owns.

    Every partition key is `TENANT#<tenant>#<NAME>` or lies under it. The slice that `holds_tenant` also owns
    the bare key `TENANT#<tenant>`.
    """

    name: str
    table: Table
    holds_tenant: bool = False

    def key(self, tenant_id: str, *parts: str) -> str:
        """The partition key of `parts` in this slice of this tenant."""
        return "#".join(("TENANT", tenant_id, self.name, *parts))

    def tenant_key(self, tenant_id: str) -> str:
        """The bare key of the tenant itself."""
        if not self.holds_tenant:
            msg = f"the slice {self.name} does not hold the tenant's own key"
            raise ValueError(msg)
        return f"TENANT#{tenant_id}"

    def due_key(self, kind: str) -> str:
        """The key of this slice's `kind` in the `due` index, sorted there by time."""
        return f"DUE#{self.name}#{kind}"


class Access(StrEnum):
    """How a function reaches its service's slice."""

    NONE = "none"
    """It reads no table."""
    TENANT = "tenant"
    """Only through the function's data role, assumed with the session tag `tenant_id` of the request."""
    SLICE = "slice"
    """The slice of every tenant, by the function's own role: events, schedules and direct invocations."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP route, with what it asks of the caller."""

    method: str
    path: str
    """As the gateway writes it: `/v1/tenants/{tenant_id}/runs/{run_id}`."""
    least: Role | None
    """The least role that may call it; None: no token is asked for."""
    feature: Feature | None = None
    """The feature that a change needs; reading never needs one."""


@dataclass(frozen=True, slots=True)
class Objects:
    """A grant on the artifacts bucket, always below `tenants/<tenant>/`."""

    folder: str
    """The folder below the tenant's, for example `agents`."""
    read: bool = True
    write: bool = False
    find: bool = False
    """It may ask which there are, as they are now."""
    delete: bool = False
    """It may find and delete objects, with all their versions."""


def exports_of(service: str) -> str:
    """The folder of a service's part of exports.

    Not one in a folder of all: `tenants/*/runs/*` would open `tenants/acme/exports/runs/` too.
    """
    return f"exports-{service}"


def writing_of_exports(service: str) -> Objects:
    """What an exporter needs there: it removes them where the tenant is gone."""
    return Objects(exports_of(service), read=False, write=True, delete=True)


class TenantSecrets(StrEnum):
    """A grant on the secrets of the tenant that is acted for, `ainexus-<env>/tenants/<tenant>/…`."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    """Make, change and delete them; not read them."""
    DESTROY = "destroy"
    """Delete those of any tenant, and nothing else: for who removes a tenant."""


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function, what wakes it and what it may touch."""

    name: str
    handler: str
    """Dotted path of the callable, for example `services.runs.consumer.worker`."""
    access: Access = Access.SLICE
    routes: tuple[Route, ...] = ()
    subscriptions: tuple[str, ...] = ()
    """Event types (`run.queued.v1`); each function that has some gets one rule, one queue and its dead letters."""
    control: tuple[str, ...] = ()
    """Those of the subscriptions that have a queue of their own, `<function>-control`. They change what tenants may do
    and what runs are made of, and never wait behind the data of a busy tenant."""
    every_minutes: int | None = None
    objects: tuple[Objects, ...] = ()
    invokes: tuple[str, ...] = ()
    """Names of functions of the same service that it may invoke; their full names arrive as `<NAME>_FUNCTION_NAME`."""
    secrets: tuple[str, ...] = ()
    """Secrets of the platform that it may read, for example `openai/key`."""
    tenant_secrets: TenantSecrets = TenantSecrets.NONE
    """`DESTROY` is for functions with the slice of every tenant, the others for those that act for one at a time."""
    calls_models: bool = False
    """It may call the models of Bedrock."""
    reads_due: bool = False
    """It may query the slice's keys in the `due` index."""
    keys: tuple[str, ...] = ()
    """Patterns of keys of no tenant that it may touch in the slice's table, besides what its access opens."""
    queued: bool = False
    """It has a queue that other functions of its service send to; one that has subscriptions has a queue anyway."""
    sends_to: tuple[str, ...] = ()
    """Names of functions of the same service whose queue it may send to; the URLs arrive as `<NAME>_QUEUE_URL`."""
    manages_users: bool = False
    """It may create, find, change and remove users in the user pool."""
    at_most: int | None = None
    """How many may run at once, where the environment holds concurrency back: for functions that mostly wait."""
    timeout_s: int = 29
    memory_mb: int = 512
    batch_size: int = 10
    delay_s: int = 0
    """So long its queue keeps each message back before it can be received, at most 900."""

    @property
    def has_queue(self) -> bool:
        """Whether a queue wakes it."""
        return self.queued or bool(self.subscriptions)

    @property
    def data(self) -> tuple[str, ...]:
        """The subscriptions of the queue that has the function's own name."""
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
    """The function of a service that removes what a deleted tenant has left (`shared.removal`).

    Args:
        service: its name.
        handler: dotted path of the callable.
        subscriptions: what wakes it.
        folder: of the service's objects.
        tenant_secrets: see `Function`.
        manages_users: see `Function`.
    """
    folders = (folder, exports_of(service)) if folder else (exports_of(service),)
    return Function(
        "remover",
        handler,
        subscriptions=subscriptions,
        objects=tuple(Objects(one, read=False, delete=True) for one in folders),
        tenant_secrets=tenant_secrets,
        manages_users=manages_users,
        timeout_s=900,
    )


def exporter_of(service: str, handler: str, subscriptions: tuple[str, ...], *, folder: str = "") -> Function:
    """The function of a service that writes what it has of a tenant (`shared.export`), one part at a time.

    Args:
        service: its name.
        handler: dotted path of the callable.
        subscriptions: what wakes it.
        folder: of the service's objects.
    """
    found = (Objects(folder, find=True),) if folder else ()
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
"""What can happen to any service."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the mesh."""

    name: str
    purpose: str
    slice: Slice
    functions: tuple[Function, ...]
    emits: tuple[str, ...] = ()
    """Event types that it may put into its outbox."""
    alarms: tuple[str, ...] = USUAL_ALARMS
    """What of it calls somebody, by the section of the runbook."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes of all its functions."""
        return tuple(route for function in self.functions for route in function.routes)

    @property
    def consumes(self) -> tuple[str, ...]:
        """All event types that wake one of its functions, sorted."""
        return tuple(sorted({event for function in self.functions for event in function.subscriptions}))
