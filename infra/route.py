"""Routes of the REST API: each path part once, one permission per function, preflight responses on every path."""

from collections.abc import Mapping
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_apigateway as gateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.profile import Profile
from infra.review import accept
from shared.declaration import Function

SKELETON = ("/v1", "/v1/admin", "/v1/tenants", "/v1/tenants/{tenant_id}")
"""Paths below which several services have routes. Core creates them."""

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Prefer", "traceparent"),
)


def preflight(profile: Profile) -> gateway.CorsOptions:
    """Return the preflight response."""
    return gateway.CorsOptions(
        allow_origins=list(profile.preflight_origins or profile.cors_origins),
        allow_methods=list(CORS_METHODS),
        allow_headers=list(CORS_HEADERS),
        max_age=Duration.hours(1),
    )


class Paths:
    """The API's paths in one stack: existing ones, and those created on first use."""

    def __init__(self, existing: Mapping[str, gateway.IResource], *, cors: gateway.CorsOptions) -> None:
        self._resources = dict(existing)
        self._cors = cors

    def at(self, path: str) -> gateway.IResource:
        """Return the resource of a path, and create the missing resources on its way.

        Raises:
            ValueError: the path leaves what this stack may add to.
        """
        if path in self._resources:
            return self._resources[path]
        parent, _, part = path.rpartition("/")
        if not part:
            msg = f"{path} is not below a path of the API"
            raise ValueError(msg)
        added = self.at(parent).add_resource(part, default_cors_preflight_options=self._cors)
        resource = cast("gateway.IResource", added)
        self._resources[path] = resource
        return resource

    def attach(self, declared: Function, *, function: lambda_.IFunction, authorizer: gateway.IAuthorizer) -> None:
        """Connect a function's routes to it."""
        integration = gateway.LambdaIntegration(function, scope_permission_to_method=False)
        for route in declared.routes:
            checked = route.min_role is not None
            added = self.at(route.path).add_method(
                route.method,
                integration,
                authorizer=authorizer if checked else None,
                authorization_type=gateway.AuthorizationType.CUSTOM if checked else gateway.AuthorizationType.NONE,
            )
            accept(added, *(() if checked else ("APIG4",)), "COG4")


def root_of(
    scope: Construct, *, api_id: str, root_id: str, skeleton: Mapping[str, str]
) -> dict[str, gateway.IResource]:
    """Return the paths that core created, so that another stack can add to them.

    Args:
        scope: the stack that adds routes.
        api_id: of the REST API.
        root_id: the resource id of `/`.
        skeleton: resource ids by path.
    """
    api = gateway.RestApi.from_rest_api_attributes(scope, "RestApi", rest_api_id=api_id, root_resource_id=root_id)
    return {
        path: gateway.Resource.from_resource_attributes(scope, path, rest_api=api, resource_id=found, path=path)
        for path, found in skeleton.items()
    }
