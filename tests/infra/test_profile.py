"""What differs between this machine and AWS, and that nothing else does."""

from infra.names import ENVIRONMENTS
from infra.profile import PROFILES
from tests.infra.difference import differences
from tests.infra.templates import Templates

_PREFLIGHT = "preflight answers are for every origin, as the engine cannot choose between two"
_TLS = "the engine speaks plain HTTP"
_VARIABLES = "AWS::Lambda::Function Properties.Environment.Variables"
_ANSWERS = "AWS::ApiGateway::Method Properties.Integration.IntegrationResponses"

LISTED = {
    f"{_ANSWERS}.ResponseParameters.method.response.header.Access-Control-Allow-Origin": _PREFLIGHT,
    f"{_ANSWERS}.ResponseParameters.method.response.header.Vary": _PREFLIGHT,
    f"{_ANSWERS}.ResponseTemplates.application/json": _PREFLIGHT,
    "AWS::ApiGateway::Method Properties.MethodResponses.ResponseParameters.method.response.header.Vary": _PREFLIGHT,
    "AWS::ApiGateway::RestApi Properties.Tags.ms-custom-id": "a fixed id, so that the URL stays the same",
    "AWS::CloudWatch::Alarm": "the engine has no metrics that could raise one",
    "AWS::Lambda::EventSourceMapping Properties.ScalingConfig.MaximumConcurrency": "one small machine",
    f"{_VARIABLES}.ALLOW_PRIVATE_BASE_URLS": "a provider may run on the same machine",
    f"{_VARIABLES}.PROVIDERS_WITHOUT_KEY": "without a key, answers are simulated",
    f"{_VARIABLES}.STRIPE_API_BASE": "the local Stripe",
    "AWS::Logs::LogGroup Properties.RetentionInDays": "a week",
    "AWS::Logs::QueryDefinition": "the engine does not know them",
    "AWS::S3::BucketPolicy": _TLS,
    "AWS::SNS::TopicPolicy": _TLS,
    "AWS::SQS::Queue Properties.VisibilityTimeout": "a killed batch comes again sooner",
    "AWS::SQS::QueuePolicy": _TLS,
    "AWS::SQS::QueuePolicy Properties.PolicyDocument.Statement.Deny aws:SecureTransport": _TLS,
}
"""Every point, with its reason."""


class TestLocal:
    def test_differs_from_dev_in_what_is_listed_and_in_nothing_else(self, local: Templates, dev: Templates) -> None:
        assert differences(local, dev) == set(LISTED)

    def test_api_id_is_eight_hex_digits(self, local: Templates) -> None:
        tags = {tag["Key"]: tag["Value"] for tag in local.one("AWS::ApiGateway::RestApi")["Tags"]}
        assert len(tags["ms-custom-id"]) == 8
        assert int(tags["ms-custom-id"], 16)

    def test_holds_nothing_that_the_engine_does_not_know(self, local: Templates) -> None:
        kinds = {one["Type"] for stack in local.stacks.values() for one in stack["Resources"].values()}
        unknown = {
            *("AWS::Events::Archive", "AWS::Events::EventBusPolicy", "AWS::CloudWatch::CompositeAlarm"),
            *("AWS::WAFv2::WebACLAssociation", "AWS::SecretsManager::ResourcePolicy", "AWS::Pipes::Pipe"),
        }
        assert kinds & unknown == set()


class TestProfiles:
    def test_are_of_the_four_environments(self) -> None:
        assert list(PROFILES) == list(ENVIRONMENTS) == ["local", "dev", "staging", "prod"]

    def test_on_aws_the_stripe_is_the_real_one(self) -> None:
        bases = {name: one.stripe_api_base for name, one in PROFILES.items() if name != "local"}
        assert set(bases.values()) == {"https://api.stripe.com"}

    def test_nothing_is_simulated_on_aws(self) -> None:
        simulating = {name for name, one in PROFILES.items() if one.providers_without_key != "fail"}
        assert simulating == {"local"}
