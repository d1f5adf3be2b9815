"""What the roles of a service may do, derived from its declaration."""

from collections.abc import Sequence

from infra import policy
from infra.mesh import Mesh
from shared.declaration import Access, Function, Objects, Service


def of_function(mesh: Mesh, service: Service, function: Function, *, pool_arn: str) -> list[policy.Statement]:
    """What a function may do in its own role."""
    names = mesh.names
    granted = [*_data(mesh, service, function)]
    if function.access is not Access.TENANT:
        granted += policy.objects_of_all_tenants(names, function.objects)
    if function.keys:
        granted.append(policy.data_of_nobody(names, service.slice, function.keys))
    if function.reads_due:
        granted.append(policy.due_work(names, service.slice))
    if function.has_queue:
        granted.append(policy.queue(names, names.function(service, function)))
    granted += [policy.send(names, names.function(service, name)) for name in function.sends_to]
    if function.invokes:
        granted.append(policy.invoke(names, service, function))
    if function.secrets:
        granted.append(policy.read_secrets(names, function.secrets))
    if function.manages_users:
        granted.append(policy.users(pool_arn))
    return granted


def of_tenant(mesh: Mesh, service: Service) -> list[policy.Statement]:
    """What the service's data role may do, for the one tenant that its session is tagged with."""
    objects = policy.objects_of_tenant(mesh.names, _tenant_objects(service))
    return [policy.data_of_tenant(mesh.names, service.slice), *objects]


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


def _tenant_objects(service: Service) -> list[Objects]:
    return [granted for function in acts_for_tenants(service) for granted in function.objects]
