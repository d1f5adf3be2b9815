"""What the roles of a service may do, derived from its declaration."""

from collections.abc import Sequence

from infra import policy
from infra.mesh import Mesh
from shared.declaration import Access, Function, Service, TenantSecrets


def of_function(mesh: Mesh, service: Service, function: Function, *, pool_arn: str) -> list[policy.Statement]:
    """What a function may do in its own role."""
    names = mesh.names
    granted = [*_data(mesh, service, function)]
    if function.access is not Access.TENANT:
        granted += policy.objects_of_all_tenants(names, function.objects)
    if function.reads_due:
        granted.append(policy.due_work(names, service.slice))
    if function.subscriptions:
        granted.append(policy.queue(names, names.function(service, function)))
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


def of_tenant(mesh: Mesh, service: Service) -> list[policy.Statement]:
    """What the service's data role may do, for the one tenant that its session is tagged with."""
    functions = acts_for_tenants(service)
    objects = policy.objects_of_tenant(mesh.names, [granted for function in functions for granted in function.objects])
    granted = sorted({function.tenant_secrets for function in functions} - {TenantSecrets.NONE})
    secrets = [policy.secrets_of_tenant(mesh.names, one) for one in granted]
    return [policy.data_of_tenant(mesh.names, service.slice), *objects, *secrets]


def acts_for_tenants(service: Service) -> list[Function]:
    """The functions that reach data only through the data role."""
    return [function for function in service.functions if function.access is Access.TENANT]


def _data(mesh: Mesh, service: Service, function: Function) -> Sequence[policy.Statement]:
    if function.access is Access.TENANT:
        return [policy.assume(mesh.names, service)]
    if function.access is Access.SLICE:
        others = [other.slice for other in mesh.services if other.name != service.name]
        return policy.data_of_all_tenants(mesh.names, service.slice, others)
    return []
