"""The stack AILabEdge: the stage, and the changes that cause a new deployment."""

from dataclasses import replace

from infra.bundle.asset import Bundles
from infra.bundle.target import BundleTarget
from infra.edge.fingerprint import fingerprint
from infra.mesh import Mesh
from infra.names import Names
from infra.profile import LOCAL, Profile
from shared.declaration import Route, Service
from shared.tenancy.permissions import Role
from tests.infra.sample_services import AGENTS, SAMPLES, TENANTS
from tests.infra.templates import ACCOUNT, Templates


class TestStage:
    def test_is_named_throttled_and_logged(self, local: Templates) -> None:
        stage = local.one("AWS::ApiGateway::Stage")
        assert stage["StageName"] == "local"
        settings = stage["MethodSettings"][0]
        assert (settings["ThrottlingBurstLimit"], settings["ThrottlingRateLimit"]) == (5000, 2000)
        assert stage["AccessLogSetting"]["DestinationArn"].endswith(":log-group:/aws/apigateway/ainexus-local-api")
        assert "requestId" in stage["AccessLogSetting"]["Format"]

    def test_never_logs_a_token(self, local: Templates) -> None:
        assert "authorization" not in local.one("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"].lower()

    def test_uses_the_deployment_with_the_fingerprint(self, local: Templates) -> None:
        (name,) = (name for name, _ in local.named("AWS::ApiGateway::Deployment"))
        assert name == f"Deployment{fingerprint(_mesh())}"
        assert local.one("AWS::ApiGateway::Stage")["DeploymentId"] == {"Ref": name}

    def test_has_the_only_deployment(self, local: Templates) -> None:
        assert len(local.resources_with_attributes("AWS::ApiGateway::Deployment")) == 1


class TestFingerprint:
    def test_ignores_the_order_of_services(self) -> None:
        assert fingerprint(_mesh()) == fingerprint(_mesh(services=tuple(reversed(SAMPLES))))

    def test_changes_with_a_route(self) -> None:
        added = Route("GET", "/v1/tenants/{tenant_id}/agents/{agent_id}", Role.OBSERVER)
        assert _with_routes((*AGENTS.routes, added)) != fingerprint(_mesh())

    def test_changes_when_a_route_becomes_public(self) -> None:
        opened = replace(AGENTS.routes[0], min_role=None)
        assert _with_routes((opened, *AGENTS.routes[1:])) != fingerprint(_mesh())

    def test_ignores_the_role_of_a_route(self) -> None:
        other = replace(AGENTS.routes[0], min_role=Role.ANALYST)
        assert _with_routes((other, *AGENTS.routes[1:])) == fingerprint(_mesh())

    def test_changes_with_the_cors_origins(self) -> None:
        assert fingerprint(_mesh(profile=replace(LOCAL, preflight_origins=("https://a.example",)))) != fingerprint(
            _mesh()
        )


def _with_routes(routes: tuple[Route, ...]) -> str:
    changed = replace(AGENTS, functions=(replace(AGENTS.functions[0], routes=routes),))
    return fingerprint(_mesh(services=(TENANTS, changed, *SAMPLES[2:])))


def _mesh(*, services: tuple[Service, ...] = SAMPLES, profile: Profile = LOCAL) -> Mesh:
    return Mesh(Names(profile.environment, ACCOUNT), profile, services, Bundles(target=BundleTarget()), b"{}")
