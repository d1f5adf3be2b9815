"""What is accepted of AWS's review: nothing more than what is there, and no wildcard without its reason."""

from infra import policy, review
from infra.names import Names
from infra.profile import DEV
from infra.services import SERVICES
from tests.infra.templates import ACCOUNT, Templates

NAMES = Names("prod", ACCOUNT)
TRACES = "X-Ray has no resources"


class TestReasons:
    def test_are_of_the_very_actions(self) -> None:
        assert review.reasons("*", [policy.traces()]) == {TRACES}
        assert review.reasons("*", [policy.allow(["xray:*"], "*")]) == set()
        assert review.reasons("*", [policy.allow(["dynamodb:Query"], "*")]) == set()

    def test_of_one_statement_do_not_cover_another(self) -> None:
        assert review.reasons("*", [policy.traces(), policy.allow(["s3:GetObject"], "*")]) == set()

    def test_are_of_a_folder_and_not_of_the_bucket(self) -> None:
        bucket = f"arn:aws:s3:::{NAMES.bucket}"
        for resource in (f"{bucket}/*", f"{bucket}/tenants/*", f"{bucket}/tenants/*/*"):
            assert review.reasons(resource, [policy.allow(["s3:GetObject"], resource)]) == set()

    def test_of_reading_secrets_are_of_one_tenant(self) -> None:
        every = NAMES.arn("secretsmanager", f"secret:{NAMES.secret('tenants/*/*')}")
        assert review.reasons(every, [policy.allow(["secretsmanager:DeleteSecret"], every)])
        assert review.reasons(every, [policy.allow(["secretsmanager:GetSecretValue"], every)]) == set()

    def test_are_all_needed(self, mesh: Templates) -> None:
        roles = [role["RoleName"] for role in mesh.resources("AWS::IAM::Role") if "RoleName" in role]
        used = {
            reason
            for statements in map(mesh.statements, roles)
            for one in statements
            for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
            if isinstance(resource, str) and "*" in resource
            for reason in review.reasons(resource.replace("${", "<").replace("}", ">"), statements)
        }
        assert used == {one.reason for one in review.WILDCARDS}


class TestAccepted:
    def test_of_open_routes_are_three(self) -> None:
        from infra.core.functions import API

        routes = (*API.routes, *(route for service in SERVICES for route in service.routes))
        open_ = {route.path for route in routes if route.least is None}
        assert open_ == {"/v1/health", "/v1/openapi.json", "/v1/webhooks/stripe"}

    def test_tables_without_recovery_are_those_of_environments_that_keep_nothing(self) -> None:
        assert not DEV.retain
