"""What each role may reach, decided from what the services declare and never from the policies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from infra.names import SECRETS, Names
from infra.services import SERVICES
from shared.declaration import Access, Function, Service, Slice, Table, TenantSecrets, exports_of
from tests.infra.templates import ACCOUNT

NAMES = Names("local", ACCOUNT)
TENANT, TWIN = "acme", "acme2"
GET, PUT, QUERY = "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"
READ, WRITE, REMOVE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
READ_SECRET, PUT_SECRET = "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"
DELETE_SECRET = "secretsmanager:DeleteSecret"
FOLDERS = ("agents", "runs", "usage", "datasets", *(exports_of(service.name) for service in SERVICES))
DELETE, READ_SOME, WRITE_SOME = "dynamodb:DeleteItem", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"
_ITEMS = {GET, PUT, QUERY, DELETE, READ_SOME, WRITE_SOME}


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to a table, to the bucket or to the secrets."""

    action: str
    table: Table | None = None
    index: str = ""
    keys: tuple[str, ...] = ()
    """The partition keys that it touches; DynamoDB gives none for a scan."""
    object_key: str = ""
    secret: str = ""
    tag: str | None = TENANT
    """The session's `tenant_id`; None: it has none."""

    @property
    def resource(self) -> str:
        """The ARN that it asks for."""
        if self.secret:
            return NAMES.arn("secretsmanager", f"secret:{NAMES.secret(self.secret)}-AbCdEf")
        if self.table is None:
            return f"arn:aws:s3:::{NAMES.bucket}/{self.object_key}"
        return f"{NAMES.table_arn(self.table)}{f'/index/{self.index}' if self.index else ''}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A role, with what it is for."""

    role: str
    service: Service | None = None
    """None: core's own."""
    function: Function | None = None
    is_data_role: bool = False
    """Whether the function assumes it for one tenant."""


def holders(services: Sequence[Service]) -> Iterator[Holder]:
    """Every role that the services ask for, and core's two."""
    yield from (Holder(NAMES.api), Holder(NAMES.publisher))
    for service in services:
        for one in service.functions:
            yield Holder(NAMES.function(service, one), service, one)
            if one.access is Access.TENANT:
                yield Holder(NAMES.data_role(service, one), service, one, is_data_role=True)


def may(holder: Holder, probe: Probe, services: Sequence[Service]) -> bool:
    """Whether this role is meant to be able to do this."""
    service, function = holder.service, holder.function
    if service is None or function is None:
        return holder.role == NAMES.publisher and not probe.secret and _is_outbox_work(probe, services)
    if probe.secret:
        return _may_touch_secret(holder, function, probe)
    if probe.table is None:
        return _may_touch_object(holder, function, probe)
    if probe.table is not service.slice.table:
        return False
    if not holder.is_data_role and _is_granted_by_name(function, service, probe):
        return True
    if probe.index not in {"", "list"} or probe.action not in _ITEMS or not probe.keys:
        return False
    if not holder.is_data_role and function.access is not Access.SLICE:
        return False
    return all(_may_touch(holder, service, key, probe, services) for key in probe.keys)


def _is_granted_by_name(function: Function, service: Service, probe: Probe) -> bool:
    """Whether the function declares these keys, or reads the due index, itself."""
    if not probe.keys:
        return False
    if probe.index == "due":
        prefix = f"DUE#{service.slice.name}#"
        return function.reads_due and probe.action == QUERY and all(key.startswith(prefix) for key in probe.keys)
    return probe.action in _ITEMS and not probe.index and all(_is_named(key, function) for key in probe.keys)


def _is_named(key: str, function: Function) -> bool:
    """Whether it is a key of nobody that the function asks for."""
    return any(fnmatchcase(key, pattern) for pattern in function.keys)


def _may_touch(holder: Holder, service: Service, key: str, probe: Probe, services: Sequence[Service]) -> bool:
    first, *rest = key.split("#")
    if first != "TENANT" or not rest:
        return False
    tenant, *below = rest
    if holder.is_data_role and (probe.tag is None or tenant != probe.tag):
        return False
    if not service.slice.holds_tenant or (holder.is_data_role and below):
        return below[:1] == [service.slice.name]
    others = {other.slice.name for other in services if other.slice.table is service.slice.table} - {service.slice.name}
    return below[:1] == [] or below[0] not in others


def _may_touch_secret(holder: Holder, function: Function, probe: Probe) -> bool:
    if not probe.secret.startswith("tenants/"):
        return not holder.is_data_role and probe.action == READ_SECRET and probe.secret in function.secrets
    granted = function.tenant_secrets
    if not holder.is_data_role:
        return granted is TenantSecrets.DESTROY and probe.action == DELETE_SECRET
    allowed = {TenantSecrets.READ: {READ_SECRET}, TenantSecrets.WRITE: {PUT_SECRET, DELETE_SECRET}}.get(granted, set())
    return probe.action in allowed and probe.secret.split("/")[1] == probe.tag


def _may_touch_object(holder: Holder, function: Function, probe: Probe) -> bool:
    root, tenant, below = probe.object_key.split("/", 2)
    wanted = Access.TENANT if holder.is_data_role else Access.SLICE
    granted = function.objects if function.access is wanted else ()
    if holder.is_data_role and (probe.tag is None or tenant != probe.tag):
        return False
    allowed = {
        READ: [one for one in granted if one.read],
        WRITE: [one for one in granted if one.write],
        REMOVE: [one for one in granted if one.delete],
    }.get(probe.action, [])
    return root == "tenants" and any(below.startswith(f"{one.folder}/") for one in allowed)


def _is_outbox_work(probe: Probe, services: Sequence[Service]) -> bool:
    slices = [service.slice for service in services if service.slice.table is probe.table]
    if not probe.keys:
        return False
    if probe.index:
        due = {owned.due_key("OUTBOX") for owned in slices}
        return probe.index == "due" and probe.action == QUERY and set(probe.keys) <= due
    names = {owned.name for owned in slices}
    if probe.action not in {GET, DELETE, WRITE_SOME}:
        return False
    parts = [key.split("#") for key in probe.keys]
    return all(len(one) == 4 and one[0] == "TENANT" and one[2] in names and one[3] == "OUTBOX" for one in parts)


def probes(services: Sequence[Service]) -> list[Probe]:
    """Requests at and around every slice, every folder and every secret."""
    around = (probe for service in services for probe in probes_around(service.slice))
    return [*around, *_object_probes(), *secret_probes()]


def probes_around(owned: Slice) -> Iterator[Probe]:
    """Requests at a slice and at what is near it."""
    table, name = owned.table, owned.name
    own, below, outbox = (f"TENANT#{TENANT}#{part}" for part in (name, f"{name}#x", f"{name}#OUTBOX"))
    twins = (f"TENANT#{TWIN}#{name}", f"TENANT#{TWIN}#{name}#x")
    near = (f"TENANT#{TENANT}#{name}2", f"TENANT#{TENANT}#{name}2#x", f"TENANT#{TENANT}", f"TENANT#{TWIN}")
    nobodys = "STRIPE#evt_1"
    odd = (f"TENANT##{name}", f"TENANT2#{TENANT}#{name}#OUTBOX", nobodys, f"DUE#{name}#LEASE", "STRIPE2#evt_1")
    for key in (own, below, outbox, *twins, *near, *odd):
        yield from (Probe(GET, table, keys=(key,), tag=tag) for tag in (TENANT, None))
    for key in (own, below, outbox, *twins):
        yield from (Probe(action, table, keys=(key,), tag=None) for action in (PUT, DELETE))
        yield Probe(PUT, table, keys=(key,))
    for together in ((own, twins[0]), (own, near[0]), (own, odd[2]), (outbox, own)):
        yield from (Probe(action, table, keys=together, tag=None) for action in (READ_SOME, WRITE_SOME))
        yield Probe(READ_SOME, table, keys=together)
    yield from (Probe(QUERY, table, "list", keys=(key,)) for key in (own, twins[0]))
    yield from (Probe(GET, table, "keys", keys=(key,), tag=None) for key in (own, outbox, nobodys))
    yield from (Probe(QUERY, table, index) for index in ("", "list", "due"))
    yield from (Probe(action, table, tag=None) for action in (GET, QUERY))
    yield from _due_probes(owned)
    for key in (own, nobodys):
        yield from (Probe(f"dynamodb:{some}", table, keys=(key,)) for some in ("Scan", "PartiQLSelect", "DeleteTable"))
    yield from (Probe("dynamodb:Scan", table, keys=keys, tag=None) for keys in ((), (outbox,), (nobodys,)))
    for other in Table:
        if other is not table:
            yield from (
                Probe(GET, other, keys=(key,), tag=tag) for key in (own, outbox, nobodys) for tag in (TENANT, None)
            )


def _due_probes(owned: Slice) -> Iterator[Probe]:
    table, lease, outbox = owned.table, owned.due_key("LEASE"), owned.due_key("OUTBOX")
    twin, own = f"DUE#{owned.name}2#LEASE", owned.key(TENANT)
    for keys in ((lease,), (outbox,), (own,), (twin,), (outbox, twin), ()):
        yield from (Probe(QUERY, table, "due", keys=keys, tag=tag) for tag in (TENANT, None))
    yield from (Probe(action, table, "due", keys=(key,), tag=None) for action in (GET, PUT) for key in (lease, outbox))
    yield from (Probe(QUERY, table, index, keys=(key,), tag=None) for index in ("", "keys") for key in (lease, outbox))


def secret_probes() -> Iterator[Probe]:
    """Requests for the platform's secrets, and for those of a tenant, of its twin and of none."""
    tenants = (f"tenants/{tenant}/openai/key" for tenant in (TENANT, TWIN, ""))
    for secret in (*SECRETS, *tenants):
        for action in (READ_SECRET, PUT_SECRET, DELETE_SECRET):
            yield from (Probe(action, secret=secret, tag=tag) for tag in (TENANT, None))


def _object_probes() -> Iterator[Probe]:
    for folder in FOLDERS:
        for tenant in (TENANT, TWIN, ""):
            key = f"tenants/{tenant}/{folder}/x/y.json"
            yield from (Probe(action, object_key=key) for action in (READ, WRITE, REMOVE))
        yield Probe(READ, object_key=f"tenants/{TENANT}/{folder}/x/y.json", tag=None)
