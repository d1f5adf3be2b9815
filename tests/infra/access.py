"""Expected permissions of each role, derived from the services' declarations and never from the policies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from infra.names import SECRETS, Names
from infra.services import SERVICES
from shared.declaration import Access, Function, Service, Slice, Table, TenantSecrets, exports_of
from tests.infra.templates import ACCOUNT

NAMES = Names("local", ACCOUNT)
TENANT, SIMILAR_TENANT = "acme", "acme2"
GET, PUT, QUERY = "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"
READ, WRITE, REMOVE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
READ_SECRET, PUT_SECRET = "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"
DELETE_SECRET = "secretsmanager:DeleteSecret"
FOLDERS = ("agents", "runs", "usage", "datasets", *(exports_of(service.name) for service in SERVICES))
DELETE, READ_SOME, WRITE_SOME = "dynamodb:DeleteItem", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"
_ITEMS = {GET, PUT, QUERY, DELETE, READ_SOME, WRITE_SOME}


@dataclass(frozen=True, slots=True)
class Probe:
    """A request to a table, the bucket or the secrets."""

    action: str
    table: Table | None = None
    index: str = ""
    keys: tuple[str, ...] = ()
    """The partition keys of the request. DynamoDB passes none for a scan."""
    object_key: str = ""
    secret: str = ""
    tag: str | None = TENANT
    """The session's `tenant_id` tag, or None."""

    @property
    def resource(self) -> str:
        """The ARN of the requested resource."""
        if self.secret:
            return NAMES.arn("secretsmanager", f"secret:{NAMES.secret(self.secret)}-AbCdEf")
        if self.table is None:
            return f"arn:aws:s3:::{NAMES.bucket}/{self.object_key}"
        return f"{NAMES.table_arn(self.table)}{f'/index/{self.index}' if self.index else ''}"


@dataclass(frozen=True, slots=True)
class RoleUnderTest:
    """A role with its service and function."""

    name: str
    service: Service | None = None
    """None for a role of core."""
    function: Function | None = None
    is_data_role: bool = False
    """Whether the function assumes it for one tenant."""


def roles_of(services: Sequence[Service]) -> Iterator[RoleUnderTest]:
    """Yield every role of the services, and the three of core."""
    yield from (RoleUnderTest(NAMES.api), RoleUnderTest(NAMES.authorizer), RoleUnderTest(NAMES.publisher))
    for service in services:
        for function in service.functions:
            yield RoleUnderTest(NAMES.function(service, function), service, function)
            if function.has_data_role:
                yield RoleUnderTest(NAMES.data_role(service, function), service, function, is_data_role=True)


def is_expected(role: RoleUnderTest, probe: Probe, services: Sequence[Service]) -> bool:
    """Return whether the role should be allowed to make this request."""
    service, function = role.service, role.function
    if service is None or function is None:
        expected = {NAMES.publisher: _is_outbox_work, NAMES.authorizer: _is_key_lookup}.get(role.name)
        return expected is not None and not probe.secret and expected(probe, services)
    if probe.secret:
        return _owns_secret(role, function, probe)
    if probe.table is None:
        return _owns_object(role, function, probe)
    if probe.table is not service.slice.table:
        return False
    if not role.is_data_role and _is_declared(function, service, probe):
        return True
    if probe.index not in {"", "list"} or probe.action not in _ITEMS or not probe.keys:
        return False
    if not role.is_data_role and function.access is not Access.SLICE:
        return False
    return all(_owns_key(role, service, key, probe, services) for key in probe.keys)


def _is_declared(function: Function, service: Service, probe: Probe) -> bool:
    """Return whether the function itself declares these keys or reads the due index."""
    if not probe.keys:
        return False
    if probe.index == "due":
        prefix = f"DUE#{service.slice.name}#"
        return function.reads_due and probe.action == QUERY and all(key.startswith(prefix) for key in probe.keys)
    return probe.action in _ITEMS and not probe.index and all(_declares_key(key, function) for key in probe.keys)


def _declares_key(key: str, function: Function) -> bool:
    """Return whether the function declares this key, which belongs to no tenant."""
    return any(fnmatchcase(key, pattern) for pattern in function.keys)


def _owns_key(role: RoleUnderTest, service: Service, key: str, probe: Probe, services: Sequence[Service]) -> bool:
    first, *rest = key.split("#")
    if first != "TENANT" or not rest:
        return False
    tenant, *below = rest
    if role.is_data_role and (probe.tag is None or tenant != probe.tag):
        return False
    if not service.slice.holds_tenant or (role.is_data_role and below):
        return below[:1] == [service.slice.name]
    others = {other.slice.name for other in services if other.slice.table is service.slice.table} - {service.slice.name}
    return below[:1] == [] or below[0] not in others


def _is_key_lookup(probe: Probe, services: Sequence[Service]) -> bool:
    """Return whether the probe finds or reads an API key or a tenant, as the authorizer does."""
    if probe.table is not Table.TENANTS or not probe.keys:
        return False
    if probe.index:
        is_hash = all(key.startswith("DUE#TENANTS#APISECRET#") for key in probe.keys)
        return probe.index == "due" and probe.action == QUERY and is_hash
    others = {one.slice.name for one in services if one.slice.table is Table.TENANTS} - {"TENANTS"}
    parts = [key.split("#") for key in probe.keys]
    return probe.action in {GET, READ_SOME} and all(
        part[0] == "TENANT" and len(part) > 1 and part[2:3] not in [[name] for name in others] for part in parts
    )


def _owns_secret(role: RoleUnderTest, function: Function, probe: Probe) -> bool:
    if not probe.secret.startswith("tenants/"):
        return not role.is_data_role and probe.action == READ_SECRET and probe.secret in function.secrets
    granted = function.tenant_secrets
    if not role.is_data_role:
        return granted is TenantSecrets.DESTROY and probe.action == DELETE_SECRET
    allowed = {TenantSecrets.READ: {READ_SECRET}, TenantSecrets.WRITE: {PUT_SECRET, DELETE_SECRET}}.get(granted, set())
    return probe.action in allowed and probe.secret.split("/")[1] == probe.tag


def _owns_object(role: RoleUnderTest, function: Function, probe: Probe) -> bool:
    root, tenant, below = probe.object_key.split("/", 2)
    expected = Access.TENANT if role.is_data_role else Access.SLICE
    granted = function.objects if function.access is expected else ()
    if role.is_data_role and (probe.tag is None or tenant != probe.tag):
        return False
    allowed = {
        READ: [grant for grant in granted if grant.read],
        WRITE: [grant for grant in granted if grant.write],
        REMOVE: [grant for grant in granted if grant.delete],
    }.get(probe.action, [])
    return root == "tenants" and any(below.startswith(f"{grant.folder}/") for grant in allowed)


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
    """Return requests inside and near every slice, every folder and every secret."""
    around = (probe for service in services for probe in probes_around(service.slice))
    return [*around, *_object_probes(), *secret_probes()]


def probes_around(owned: Slice) -> Iterator[Probe]:
    """Yield requests inside a slice and near it."""
    table, name = owned.table, owned.name
    own, below, outbox = (f"TENANT#{TENANT}#{part}" for part in (name, f"{name}#x", f"{name}#OUTBOX"))
    similar = (f"TENANT#{SIMILAR_TENANT}#{name}", f"TENANT#{SIMILAR_TENANT}#{name}#x")
    near = (f"TENANT#{TENANT}#{name}2", f"TENANT#{TENANT}#{name}2#x", f"TENANT#{TENANT}", f"TENANT#{SIMILAR_TENANT}")
    unowned = "STRIPE#evt_1"
    odd = (f"TENANT##{name}", f"TENANT2#{TENANT}#{name}#OUTBOX", unowned, f"DUE#{name}#LEASE", "STRIPE2#evt_1")
    for key in (own, below, outbox, *similar, *near, *odd):
        yield from (Probe(GET, table, keys=(key,), tag=tag) for tag in (TENANT, None))
    for key in (own, below, outbox, *similar):
        yield from (Probe(action, table, keys=(key,), tag=None) for action in (PUT, DELETE))
        yield Probe(PUT, table, keys=(key,))
    for together in ((own, similar[0]), (own, near[0]), (own, odd[2]), (outbox, own)):
        yield from (Probe(action, table, keys=together, tag=None) for action in (READ_SOME, WRITE_SOME))
        yield Probe(READ_SOME, table, keys=together)
    yield from (Probe(QUERY, table, "list", keys=(key,)) for key in (own, similar[0]))
    yield from (Probe(GET, table, "keys", keys=(key,), tag=None) for key in (own, outbox, unowned))
    yield from (Probe(QUERY, table, index) for index in ("", "list", "due"))
    yield from (Probe(action, table, tag=None) for action in (GET, QUERY))
    yield from _due_probes(owned)
    for key in (own, unowned):
        yield from (Probe(f"dynamodb:{some}", table, keys=(key,)) for some in ("Scan", "PartiQLSelect", "DeleteTable"))
    yield from (Probe("dynamodb:Scan", table, keys=keys, tag=None) for keys in ((), (outbox,), (unowned,)))
    for other in Table:
        if other is not table:
            yield from (
                Probe(GET, other, keys=(key,), tag=tag) for key in (own, outbox, unowned) for tag in (TENANT, None)
            )


def _due_probes(owned: Slice) -> Iterator[Probe]:
    table, lease, outbox = owned.table, owned.due_key("LEASE"), owned.due_key("OUTBOX")
    secret, similar_kind = owned.due_key("APISECRET#9f86d081"), owned.due_key("APISECRET2#9f86d081")
    similar_slice, own = f"DUE#{owned.name}2#LEASE", owned.key(TENANT)
    together = ((outbox, similar_slice), (secret, lease))
    for keys in ((lease,), (outbox,), (secret,), (similar_kind,), (own,), (similar_slice,), *together, ()):
        yield from (Probe(QUERY, table, "due", keys=keys, tag=tag) for tag in (TENANT, None))
    keys = (lease, outbox, secret)
    yield from (Probe(action, table, "due", keys=(key,), tag=None) for action in (GET, PUT) for key in keys)
    yield from (Probe(QUERY, table, index, keys=(key,), tag=None) for index in ("", "keys") for key in keys)


def secret_probes() -> Iterator[Probe]:
    """Yield requests for secrets of the platform, a tenant, one with a similar id, and an empty tenant id."""
    tenants = (f"tenants/{tenant}/openai/key" for tenant in (TENANT, SIMILAR_TENANT, ""))
    for secret in (*SECRETS, *tenants):
        for action in (READ_SECRET, PUT_SECRET, DELETE_SECRET):
            yield from (Probe(action, secret=secret, tag=tag) for tag in (TENANT, None))


def _object_probes() -> Iterator[Probe]:
    for folder in FOLDERS:
        for tenant in (TENANT, SIMILAR_TENANT, ""):
            key = f"tenants/{tenant}/{folder}/x/y.json"
            yield from (Probe(action, object_key=key) for action in (READ, WRITE, REMOVE))
        yield Probe(READ, object_key=f"tenants/{TENANT}/{folder}/x/y.json", tag=None)
