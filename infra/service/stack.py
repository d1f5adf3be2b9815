"""The stack of one service: one class, used five times."""

from collections.abc import Iterator

from aws_cdk import Stack
from constructs import Construct

from infra import policy
from infra.core.stack import CoreStack
from infra.function import MeshFunction, role_of
from infra.mesh import Mesh
from infra.queue import EventQueue
from infra.route import Paths, preflight, root_of
from infra.service import access
from shared.declaration import Function, Service


class ServiceStack(Stack):
    """The functions of a service, with their triggers and permissions."""

    def __init__(self, scope: Construct, mesh: Mesh, service: Service, *, core: CoreStack, **options: object) -> None:
        super().__init__(scope, mesh.names.stack(service.name), **options)  # pyright: ignore[reportArgumentType] — Stack's own options
        self._mesh, self._service, self._core = mesh, service, core
        self.functions = {function.name: self._function(function) for function in service.functions}
        self._data_roles()
        self._routes()
        self._queues = {name: queue for function in service.functions for name, queue in self._queues_of(function)}
        for function in service.functions:
            self._add_queue_urls(function)

    def _function(self, declared: Function) -> MeshFunction:
        granted = access.of_function(self._mesh, self._service, declared, pool_arn=self._core.users.pool.user_pool_arn)
        name = self._mesh.names.function(self._service, declared)
        return MeshFunction(
            self, self._mesh, declared, name=name, statements=granted, variables=self._variables(declared)
        )

    def _variables(self, declared: Function) -> dict[str, str]:
        names = self._mesh.names
        found = {
            "USER_POOL_ID": self._core.users.pool.user_pool_id,
            "USER_POOL_CLIENT_ID": self._core.users.client.user_pool_client_id,
            "POWERTOOLS_SERVICE_NAME": self._service.name,
            **{_variable(name): names.function(self._service, name) for name in declared.invokes},
        }
        if declared.has_data_role:
            found["DATA_ROLE_ARN"] = names.role_arn(names.data_role(self._service, declared))
        return found

    def _data_roles(self) -> None:
        """Create a data role for each function that acts for one tenant at a time (decision 28)."""
        for declared in self._service.functions:
            if declared.has_data_role:
                role_of(
                    self.functions[declared.name],
                    "DataRole",
                    name=self._mesh.names.data_role(self._service, declared),
                    trust=policy.trust_of_function(self.functions[declared.name].role.attr_arn),
                    statements=access.of_tenant(self._mesh, self._service, declared),
                )

    def _routes(self) -> None:
        gateway = self._core.gateway
        existing = root_of(
            self, api_id=gateway.api.rest_api_id, root_id=gateway.api.root.resource_id, skeleton=gateway.skeleton
        )
        paths = Paths(existing, cors=preflight(self._mesh.profile))
        for declared in self._service.functions:
            function = self.functions[declared.name].function
            paths.attach(declared, function=function, authorizer=gateway.authorizer)

    def _queues_of(self, declared: Function) -> Iterator[tuple[str, EventQueue]]:
        consumer = self.functions[declared.name]
        own = self._mesh.names.function(self._service, declared)
        for name, types in self._mesh.names.queues(self._service, declared).items():
            construct_id = "Events" if name == own else "ControlEvents"
            yield (
                name,
                EventQueue(consumer, construct_id, self._mesh, declared, consumer=consumer, name=name, types=types),
            )

    def _add_queue_urls(self, declared: Function) -> None:
        """Add the URLs of queues, which exist only now."""
        for name in declared.sends_to:
            queue = self._queues[self._mesh.names.function(self._service, name)].queue
            self.functions[declared.name].add_environment(f"{_upper(name)}_QUEUE_URL", queue.queue_url)


def _variable(function: str) -> str:
    return f"{_upper(function)}_FUNCTION_NAME"


def _upper(function: str) -> str:
    return function.upper().replace("-", "_")
