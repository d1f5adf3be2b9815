"""An operator's settings of an environment, and their effects on its templates."""

import pytest

from infra.settings import InvalidSettings, Settings, settings_of
from tests.infra.templates import Json, Templates, text_of


class TestSettingsOf:
    def test_are_optional(self) -> None:
        assert settings_of("dev", None) == settings_of("dev", {"prod": {"firewall": True}}) == Settings()

    @pytest.mark.parametrize(
        ("payload", "where"),
        [
            ({"cors_origin": []}, "cors_origin: Extra inputs"),
            ({"cors_origins": ["*"]}, "cors_origins.0: String should match"),
            ({"cors_origins": ["https://a.example/path"]}, "cors_origins.0: String should match"),
            ({"account": "1234"}, "account: String should match"),
            ({"domain": {"name": "api.example.com"}}, "domain.certificate_arn: Field required"),
            ({"domain": {"name": "https://api.example.com", "certificate_arn": "arn"}}, "domain.name: String should"),
            ({"alerts_email": "oncall"}, "alerts_email: String should match"),
        ],
    )
    def test_refuses_invalid_settings_and_names_the_field(self, payload: Json, where: str) -> None:
        with pytest.raises(InvalidSettings, match=r"environments\.prod") as refused:
            settings_of("prod", {"prod": payload})
        assert where in str(refused.value)


class TestSettings:
    def test_origins_reach_functions_and_preflight_responses(self, configured: Templates) -> None:
        variables = configured.one("AWS::Lambda::Function", FunctionName="ainexus-staging-api")["Environment"][
            "Variables"
        ]
        assert variables["CORS_ORIGINS"] == '["https://app.example.com"]'
        methods = text_of(configured.resources("AWS::ApiGateway::Method"))
        assert "'https://app.example.com'" in methods
        assert "localhost" not in methods

    def test_domain_maps_to_the_root_of_the_stage(self, configured: Templates) -> None:
        domain = configured.one("AWS::ApiGateway::DomainName")
        assert (domain["DomainName"], domain["SecurityPolicy"]) == ("api.example.com", "TLS_1_2")
        mapping = configured.one("AWS::ApiGateway::BasePathMapping")
        assert "BasePath" not in mapping
        assert mapping["Stage"] == {"Ref": "Stage"}
        records = configured.resources("AWS::Route53::RecordSet")
        assert [(one["Type"], one["Name"]) for one in records] == [
            ("A", "api.example.com"),
            ("AAAA", "api.example.com"),
        ]
        assert list(configured.stack("Edge")["Outputs"]) == ["DomainTarget"]

    def test_address_receives_alarms(self, configured: Templates) -> None:
        subscription = configured.one("AWS::SNS::Subscription")
        assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "oncall@example.com")

    def test_firewall_does_not_inspect_bodies(self, configured: Templates) -> None:
        acl = configured.one("AWS::WAFv2::WebACL")
        assert [rule["Name"] for rule in acl["Rules"]] == ["bad-addresses", "floods"]
        assert "Body" not in text_of(acl)
        assert configured.one("AWS::WAFv2::WebACLAssociation")["WebACLArn"]

    def test_tags_are_on_everything(self, configured: Templates) -> None:
        for kind in ("AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::ApiGateway::Stage"):
            for one in configured.resources(kind):
                tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
                assert tags.items() >= {"product": "ainexus", "environment": "staging", "cost-center": "lab"}.items()

    def test_resources_of_a_service_have_its_tag(self, configured: Templates) -> None:
        tagged = configured.one("AWS::Lambda::Function", FunctionName="ainexus-staging-runs-worker")["Tags"]
        assert {"Key": "service", "Value": "runs"} in tagged

    def test_optional_resources_are_absent_by_default(self, prod: Templates) -> None:
        kinds = {one["Type"] for stack in prod.stacks.values() for one in stack["Resources"].values()}
        assert not {kind for kind in kinds if "WAF" in kind or "Route53" in kind or "Subscription" in kind}
        assert "AWS::ApiGateway::DomainName" not in kinds
