"""The REST API: its authorizer, its own responses, and the paths that all services share."""

from aws_cdk import Size, Tags
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.core.authorizer import Authorizer
from infra.core.refusals import REFUSALS
from infra.core.users import Users
from infra.function import pascal
from infra.mesh import Mesh
from infra.review import accept
from infra.route import SKELETON, Paths, preflight
from shared.http.app import EXPOSED_HEADERS

_LOG_ROLE = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]"


class Gateway(Construct):
    """The API without a deployment, which the edge creates when all routes exist."""

    def __init__(self, scope: Construct, mesh: Mesh, *, users: Users) -> None:
        super().__init__(scope, "Gateway")
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=mesh.names.api,
            deploy=False,
            cloud_watch_role=True,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            min_compression_size=Size.bytes(1024),
        )
        accept(self.api, "APIG2", _LOG_ROLE)
        if mesh.profile.api_id:
            only_api = ["AWS::ApiGateway::RestApi"]
            Tags.of(self.api).add("ms-custom-id", mesh.profile.api_id, include_resource_types=only_api)
        self.authorizer = Authorizer(self, mesh, users=users).authorizer
        self.paths = Paths({"": self.api.root}, cors=preflight(mesh.profile))
        self.skeleton = {path: self.paths.at(path).resource_id for path in SKELETON}
        self._answer_in_one_shape()

    def _answer_in_one_shape(self) -> None:
        headers = {
            # A refusal contains no data, so every page may read it.
            "Access-Control-Allow-Origin": "'*'",
            "Access-Control-Expose-Headers": f"'{EXPOSED_HEADERS}'",
        }
        for refusal in REFUSALS:
            default = refusal.kind.startswith("DEFAULT_4")
            self.api.add_gateway_response(
                pascal(refusal.kind.lower()),
                type=apigateway.ResponseType.of(refusal.kind),
                status_code=None if default else str(refusal.status),
                response_headers=headers,
                templates={"application/json": refusal.template},
            )
