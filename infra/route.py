"""Routes of the REST API: every path part once, one permission per function, preflight answers on every path."""

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
"""The paths below which more than one service has routes; core makes them."""

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Prefer", "traceparent"),
)


def preflight(profile: Profile) -> gateway.CorsOptions:
    """What a browser is told before it asks."""
    return gateway.CorsOptions(
        allow_origins=list(profile.preflight_origins or profile.cors_origins),
        allow_methods=list(CORS_METHODS),
        allow_headers=list(CORS_HEADERS),
        max_age=Duration.hours(1),
    )


class Paths:
    """The API's paths in one stack: those that exist, and those that are made when they are first asked for."""

    def __init__(self, existing: Mapping[str, gateway.IResource], *, cors: gateway.CorsOptions) -> None:
        self._resources = dict(existing)
        self._cors = cors

    def at(self, path: str) -> gateway.IResource:
        """The resource of a path, with all on the way to it.

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
        made = cast("gateway.IResource", added)
        self._resources[path] = made
        return made

    def attach(self, declared: Function, *, function: lambda_.IFunction, authorizer: gateway.IAuthorizer) -> None:
        """Lead a function's routes to it."""
        integration = gateway.LambdaIntegration(function, scope_permission_to_method=False)
        for route in declared.routes:
            checked = route.least is not None
            added = self.at(route.path).add_method(
                route.method,
                integration,
                authorizer=authorizer if checked else None,
                authorization_type=gateway.AuthorizationType.COGNITO if checked else gateway.AuthorizationType.NONE,
            )
            if not checked:
                accept(added, "APIG4", "COG4")


def root_of(
    scope: Construct, *, api_id: str, root_id: str, skeleton: Mapping[str, str]
) -> dict[str, gateway.IResource]:
    """The paths that core has made, for another stack to add to.

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
