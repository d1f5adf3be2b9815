"""The authorizer of the API: one function, which identifies the callers of all routes."""

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra import policy
from infra.core.users import Users
from infra.function import MeshFunction
from infra.mesh import Mesh
from services.core.authorizer.table import TENANTS
from services.core.service import AUTHORIZER
from shared.declaration import Slice

CACHE_S = 30
"""Seconds for which API Gateway reuses an answer: a deleted key is refused within twice this time."""
IDENTITY_HEADER = "Authorization"


def _others(mesh: Mesh) -> list[Slice]:
    return [service.slice for service in mesh.services if service.slice.name != TENANTS.name]


class Authorizer(Construct):
    """Core's authorizer function, and the resource by which the API calls it."""

    def __init__(self, scope: Construct, mesh: Mesh, *, users: Users) -> None:
        super().__init__(scope, "Authorizer")
        name = mesh.names.authorizer
        region = mesh.names.region
        self.function = MeshFunction(
            self,
            mesh,
            AUTHORIZER,
            name=name,
            statements=policy.api_keys(mesh.names, TENANTS, _others(mesh)),
            variables={
                "TOKEN_ISSUER": f"https://cognito-idp.{region}.amazonaws.com/{users.pool.user_pool_id}",
                "USER_POOL_ID": users.pool.user_pool_id,
                "USER_POOL_CLIENT_ID": users.client.user_pool_client_id,
                "POWERTOOLS_SERVICE_NAME": "core",
            },
        )
        self.authorizer = apigateway.RequestAuthorizer(
            self,
            "Resource",
            handler=self.function.function,
            authorizer_name=name,
            identity_sources=[apigateway.IdentitySource.header(IDENTITY_HEADER)],
            results_cache_ttl=Duration.seconds(CACHE_S),
        )
