"""What an operator may say of an environment, and what becomes of it."""

import pytest

from infra.settings import InvalidSettings, Settings, settings_of
from tests.infra.templates import Json, Templates, text_of


class TestSettingsOf:
    def test_nothing_need_be_said(self) -> None:
        assert settings_of("dev", None) == settings_of("dev", {"prod": {"firewall": True}}) == Settings()

    @pytest.mark.parametrize(
        ("said", "where"),
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
    def test_refuses_what_it_does_not_know_and_says_where(self, said: Json, where: str) -> None:
        with pytest.raises(InvalidSettings, match=r"environments\.prod") as refused:
            settings_of("prod", {"prod": said})
        assert where in str(refused.value)


class TestSettings:
    def test_origins_reach_functions_and_preflight_answers(self, asked: Templates) -> None:
        variables = asked.one("AWS::Lambda::Function", FunctionName="ainexus-staging-api")["Environment"]["Variables"]
        assert variables["CORS_ORIGINS"] == '["https://app.example.com"]'
        methods = text_of(asked.resources("AWS::ApiGateway::Method"))
        assert "'https://app.example.com'" in methods
        assert "localhost" not in methods

    def test_domain_leads_to_the_root_of_the_stage(self, asked: Templates) -> None:
        domain = asked.one("AWS::ApiGateway::DomainName")
        assert (domain["DomainName"], domain["SecurityPolicy"]) == ("api.example.com", "TLS_1_2")
        mapping = asked.one("AWS::ApiGateway::BasePathMapping")
        assert "BasePath" not in mapping
        assert mapping["Stage"] == {"Ref": "Stage"}
        records = asked.resources("AWS::Route53::RecordSet")
        assert [(one["Type"], one["Name"]) for one in records] == [
            ("A", "api.example.com"),
            ("AAAA", "api.example.com"),
        ]
        assert list(asked.stack("Edge")["Outputs"]) == ["DomainTarget"]

    def test_address_is_told_of_alarms(self, asked: Templates) -> None:
        subscription = asked.one("AWS::SNS::Subscription")
        assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "oncall@example.com")

    def test_firewall_looks_into_no_body(self, asked: Templates) -> None:
        acl = asked.one("AWS::WAFv2::WebACL")
        assert [rule["Name"] for rule in acl["Rules"]] == ["bad-addresses", "floods"]
        assert "Body" not in text_of(acl)
        assert asked.one("AWS::WAFv2::WebACLAssociation")["WebACLArn"]

    def test_tags_are_on_everything(self, asked: Templates) -> None:
        for kind in ("AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::ApiGateway::Stage"):
            for one in asked.resources(kind):
                tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
                assert tags.items() >= {"product": "ainexus", "environment": "staging", "cost-centre": "lab"}.items()

    def test_what_belongs_to_a_service_has_its_name(self, asked: Templates) -> None:
        tagged = asked.one("AWS::Lambda::Function", FunctionName="ainexus-staging-runs-worker")["Tags"]
        assert {"Key": "service", "Value": "runs"} in tagged

    def test_none_of_it_is_there_unless_asked_for(self, prod: Templates) -> None:
        kinds = {one["Type"] for stack in prod.stacks.values() for one in stack["Resources"].values()}
        assert not {kind for kind in kinds if "WAF" in kind or "Route53" in kind or "Subscription" in kind}
        assert "AWS::ApiGateway::DomainName" not in kinds
