"""The permissions of a service's roles, derived from its declaration."""

from infra import policy
from infra.mesh import Mesh
from shared.declaration import Access, Function, Service, TenantSecrets


def of_function(mesh: Mesh, service: Service, function: Function, *, pool_arn: str) -> list[policy.Statement]:
    """Return the permissions of a function's own role."""
    names = mesh.names
    granted = [*_data(mesh, service, function), *_queues(mesh, service, function)]
    if function.access is not Access.TENANT:
        granted += policy.objects_of_all_tenants(names, function.objects)
    if function.invokes:
        granted.append(policy.invoke(names, service, function))
    granted += _secrets(mesh, function)
    if function.calls_models:
        granted.append(policy.call_models(names))
    if function.manages_users:
        granted.append(policy.users(pool_arn))
    return granted


def _secrets(mesh: Mesh, function: Function) -> list[policy.Statement]:
    platform = [policy.read_secrets(mesh.names, function.secrets)] if function.secrets else []
    destroys = function.tenant_secrets is TenantSecrets.DESTROY
    return [*platform, *([policy.secrets_of_all_tenants(mesh.names)] if destroys else [])]


def of_tenant(mesh: Mesh, service: Service, function: Function) -> list[policy.Statement]:
    """Return the permissions of a function's data role for the tenant in the session's tag."""
    # Objects that the function reads with its own role are for operators.
    objects = policy.objects_of_tenant(mesh.names, function.objects if function.access is Access.TENANT else ())
    granted = function.tenant_secrets
    secrets = [] if granted is TenantSecrets.NONE else [policy.secrets_of_tenant(mesh.names, granted)]
    return [policy.data_of_tenant(mesh.names, service.slice), *objects, *secrets]


def _data(mesh: Mesh, service: Service, function: Function) -> list[policy.Statement]:
    names, owned = mesh.names, service.slice
    granted: list[policy.Statement] = []
    if function.has_data_role:
        granted.append(policy.assume(names, service, function))
    if function.access is Access.SLICE:
        others = [other.slice for other in mesh.services if other.name != service.name]
        granted += policy.data_of_all_tenants(names, owned, others)
    if function.keys:
        granted.append(policy.items_by_key_pattern(names, owned, function.keys))
    if function.reads_due:
        granted.append(policy.due_work(names, owned))
    return granted


def _queues(mesh: Mesh, service: Service, function: Function) -> list[policy.Statement]:
    own = [policy.queue(mesh.names, name) for name in mesh.names.queues(service, function)]
    return [*own, *(policy.send(mesh.names, mesh.names.function(service, name)) for name in function.sends_to)]
