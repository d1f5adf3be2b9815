"""Every accepted finding of AWS's security review exists, and every accepted wildcard has a reason."""

from infra import policy, review
from infra.names import Names
from infra.profile import DEV
from infra.services import SERVICES
from tests.infra.templates import ACCOUNT, Templates

NAMES = Names("prod", ACCOUNT)
NO_RESOURCES = "X-Ray has no resources"


class TestReasons:
    def test_apply_to_exact_actions(self) -> None:
        assert review.reasons("*", [policy.traces()]) == {NO_RESOURCES}
        assert review.reasons("*", [policy.allow(["xray:*"], "*")]) == set()
        assert review.reasons("*", [policy.allow(["dynamodb:Query"], "*")]) == set()

    def test_of_one_statement_do_not_apply_to_another(self) -> None:
        assert review.reasons("*", [policy.traces(), policy.allow(["s3:GetObject"], "*")]) == set()

    def test_apply_to_folders_and_not_to_the_bucket(self) -> None:
        bucket = f"arn:aws:s3:::{NAMES.bucket}"
        for resource in (f"{bucket}/*", f"{bucket}/tenants/*", f"{bucket}/tenants/*/*"):
            assert review.reasons(resource, [policy.allow(["s3:GetObject"], resource)]) == set()

    def test_for_reading_secrets_apply_to_one_tenant(self) -> None:
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
    def test_public_routes_are_three(self) -> None:
        from services.core.service import API

        routes = (*API.routes, *(route for service in SERVICES for route in service.routes))
        open_ = {route.path for route in routes if route.min_role is None}
        assert open_ == {"/v1/health", "/v1/openapi.json", "/v1/webhooks/stripe"}

    def test_tables_have_no_recovery_where_nothing_is_retained(self) -> None:
        assert not DEV.retain
