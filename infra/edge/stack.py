"""AILabEdge: the deployment and the stage of the API; the last stack of every deploy."""

import json

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.core.stack import CoreStack
from infra.edge import domain, firewall
from infra.edge.fingerprint import fingerprint
from infra.edge.throttle import throttles
from infra.mesh import Mesh
from infra.review import accept

_ACCESS_LOG_FORMAT = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "size": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_ms": "$context.integrationLatency",
    "error": "$context.error.responseType",
    "integration_error": "$context.integrationErrorMessage",
    "principal": "$context.authorizer.principal",
}


class EdgeStack(Stack):
    """The deployment that makes the routes of all services reachable."""

    def __init__(self, scope: Construct, mesh: Mesh, *, core: CoreStack, **options: object) -> None:
        super().__init__(scope, mesh.names.stack("edge"), **options)  # pyright: ignore[reportArgumentType] — Stack's own options
        api_id = core.gateway.api.rest_api_id
        deployment = apigateway.CfnDeployment(self, "Deployment", rest_api_id=api_id)
        # A deployment is an immutable snapshot, so a new snapshot must be a new resource.
        deployment.override_logical_id(f"Deployment{fingerprint(mesh)}")
        stage = apigateway.CfnStage(
            self,
            "Stage",
            rest_api_id=api_id,
            stage_name=mesh.names.environment,
            deployment_id=deployment.ref,
            tracing_enabled=True,
            access_log_setting=apigateway.CfnStage.AccessLogSettingProperty(
                destination_arn=mesh.names.arn("logs", f"log-group:{mesh.names.access_logs}"),
                format=json.dumps(_ACCESS_LOG_FORMAT),
            ),
            method_settings=[
                apigateway.CfnStage.MethodSettingProperty(
                    http_method="*",
                    resource_path="/*",
                    metrics_enabled=True,
                    throttling_burst_limit=mesh.profile.throttle_burst,
                    throttling_rate_limit=mesh.profile.throttle_rate,
                ),
                *throttles(mesh),
            ],
        )
        accept(stage, "APIG6")
        if mesh.profile.settings.firewall:
            firewall.attach_firewall(self, mesh, stage=stage)
        else:
            accept(stage, "APIG3")
        if mesh.profile.settings.domain:
            domain.attach_domain(self, mesh.profile.settings.domain, stage=stage)
