"""The mesh on this machine differs from that on AWS only in the listed points."""

import pytest

from infra.names import ENVIRONMENTS
from infra.profile import PROFILES
from tests.infra.difference import differences
from tests.infra.templates import Templates

_PREFLIGHT = "preflight responses allow every origin, because the engine cannot choose one"
_TLS = "the engine speaks plain HTTP"
_VARIABLES = "AWS::Lambda::Function Properties.Environment.Variables"
_RESPONSES = "AWS::ApiGateway::Method Properties.Integration.IntegrationResponses"

EXPECTED_DIFFERENCES = {
    f"{_RESPONSES}.ResponseParameters.method.response.header.Access-Control-Allow-Origin": _PREFLIGHT,
    f"{_RESPONSES}.ResponseParameters.method.response.header.Vary": _PREFLIGHT,
    f"{_RESPONSES}.ResponseTemplates.application/json": _PREFLIGHT,
    "AWS::ApiGateway::Method Properties.MethodResponses.ResponseParameters.method.response.header.Vary": _PREFLIGHT,
    "AWS::ApiGateway::RestApi Properties.Tags.ms-custom-id": "a fixed id, so that the URL stays the same",
    "AWS::CloudWatch::Alarm": "the engine has no metrics that could raise one",
    "AWS::Lambda::EventSourceMapping Properties.ScalingConfig.MaximumConcurrency": "one small machine",
    f"{_VARIABLES}.ALLOW_PRIVATE_BASE_URLS": "a provider may run on the same machine",
    f"{_VARIABLES}.MAX_RUNS_PER_TENANT": "half of what the workers of a small machine execute",
    f"{_VARIABLES}.PROVIDERS_WITHOUT_KEY": "without a key, responses are simulated",
    f"{_VARIABLES}.STRIPE_API_BASE": "the local Stripe",
    "AWS::Logs::LogGroup Properties.RetentionInDays": "a week",
    "AWS::Logs::QueryDefinition": "the engine does not know them",
    "AWS::S3::BucketPolicy": _TLS,
    "AWS::SNS::TopicPolicy": _TLS,
    "AWS::SQS::Queue Properties.VisibilityTimeout": "the batch of a killed worker is received again sooner",
    "AWS::SQS::QueuePolicy": _TLS,
    "AWS::SQS::QueuePolicy Properties.PolicyDocument.Statement.Deny aws:SecureTransport": _TLS,
}
"""Every expected difference with its reason."""


class TestLocal:
    def test_differs_from_dev_only_in_listed_values(self, local: Templates, dev: Templates) -> None:
        assert differences(local, dev) == set(EXPECTED_DIFFERENCES)

    @pytest.mark.parametrize("name", ENVIRONMENTS)
    def test_gives_one_tenant_at_most_half_of_the_workers(self, name: str) -> None:
        """Slow runs that arrive one by one fill a batch each, so the share counts batches, not messages."""
        profile = PROFILES[name]
        assert profile.variables["MAX_RUNS_PER_TENANT"] == str(profile.worker_concurrency // 2)

    def test_limits_the_concurrency_of_workers_separately(self, dev: Templates) -> None:
        sources = dev.resources("AWS::Lambda::EventSourceMapping")
        limits = [source["ScalingConfig"]["MaximumConcurrency"] for source in sources if "ScalingConfig" in source]
        profile = PROFILES["dev"]
        assert limits.count(profile.worker_concurrency) == 1
        assert set(limits) == {profile.worker_concurrency, profile.max_concurrency}

    def test_api_id_is_eight_hex_digits(self, local: Templates) -> None:
        tags = {tag["Key"]: tag["Value"] for tag in local.one("AWS::ApiGateway::RestApi")["Tags"]}
        assert len(tags["ms-custom-id"]) == 8
        assert int(tags["ms-custom-id"], 16)

    def test_has_no_resource_unknown_to_the_engine(self, local: Templates) -> None:
        kinds = {one["Type"] for stack in local.stacks.values() for one in stack["Resources"].values()}
        unknown = {
            *("AWS::Events::Archive", "AWS::Events::EventBusPolicy", "AWS::CloudWatch::CompositeAlarm"),
            *("AWS::WAFv2::WebACLAssociation", "AWS::SecretsManager::ResourcePolicy", "AWS::Pipes::Pipe"),
        }
        assert kinds & unknown == set()


class TestProfiles:
    def test_exist_for_the_four_environments(self) -> None:
        assert list(PROFILES) == list(ENVIRONMENTS) == ["local", "dev", "staging", "prod"]

    def test_on_aws_use_the_real_stripe(self) -> None:
        bases = {name: one.stripe_api_base for name, one in PROFILES.items() if name != "local"}
        assert set(bases.values()) == {"https://api.stripe.com"}

    def test_on_aws_simulate_no_provider(self) -> None:
        simulating = {name for name, one in PROFILES.items() if one.providers_without_key != "fail"}
        assert simulating == {"local"}
