"""What differs between this machine and AWS, and that nothing else does."""

import json
import re
from collections import defaultdict

from infra.profile import PROFILES
from tests.infra.templates import Json, Templates, text_of, without_hashes

LISTED = {
    "AWS::ApiGateway::Method.Integration": "preflight answers are for every origin: the engine cannot choose",
    "AWS::ApiGateway::Method.MethodResponses": "and therefore say nothing of `Vary`",
    "AWS::ApiGateway::RestApi.Tags": "a fixed id, so that the URL stays the same",
    "AWS::CloudWatch::Alarm": "the engine has no metrics that could raise one",
    "AWS::Lambda::EventSourceMapping.ScalingConfig": "two batches of a queue at once",
    "AWS::Lambda::Function.Environment": "providers are simulated, private addresses allowed, Stripe is a local one",
    "AWS::Logs::LogGroup.RetentionInDays": "a week",
    "AWS::Logs::QueryDefinition": "the engine does not know them",
    "AWS::S3::BucketPolicy": "the engine speaks plain HTTP",
    "AWS::SQS::Queue.VisibilityTimeout": "a killed batch comes again sooner",
    "AWS::SQS::QueuePolicy": "the engine speaks plain HTTP",
}


class TestLocal:
    def test_differs_from_dev_in_what_is_listed_and_in_nothing_else(self, local: Templates, dev: Templates) -> None:
        assert _differences(local, dev) == set(LISTED)

    def test_differs_in_these_variables(self, local: Templates, dev: Templates) -> None:
        names = {"local": "ainexus-local-api", "dev": "ainexus-dev-api"}
        variables = [
            one.one("AWS::Lambda::Function", FunctionName=names[one.environment])["Environment"]["Variables"]
            for one in (local, dev)
        ]
        here, there = (_plain(one) for one in variables)
        changed = {"PROVIDERS_WITHOUT_KEY", "ALLOW_PRIVATE_BASE_URLS", "STRIPE_API_BASE"}
        assert {name for name in here if here[name] != there[name]} == changed

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
        assert list(PROFILES) == ["local", "dev", "staging", "prod"]

    def test_on_aws_the_stripe_is_the_real_one(self) -> None:
        bases = {name: one.stripe_api_base for name, one in PROFILES.items() if name != "local"}
        assert set(bases.values()) == {"https://api.stripe.com"}

    def test_nothing_is_simulated_on_aws(self) -> None:
        simulating = {name for name, one in PROFILES.items() if one.providers_without_key != "fail"}
        assert simulating == {"local"}


def _plain(variables: Json) -> dict[str, str]:
    return {name: text_of(value).replace("local", "ENV").replace("dev", "ENV") for name, value in variables.items()}


def _differences(one: Templates, other: Templates) -> set[str]:
    """Types that only one has or whose number differs, and else `type.property` where the values differ."""
    here, there = _by_type(one), _by_type(other)
    found = {*(here.keys() ^ there.keys())}
    for kind in here.keys() & there.keys():
        found |= _of_type(kind, here[kind], there[kind])
    return found


def _of_type(kind: str, here: list[Json], there: list[Json]) -> set[str]:
    if kind == "AWS::SQS::QueuePolicy":  # a whole policy is one property
        return {kind} if _values(here, "PolicyDocument") != _values(there, "PolicyDocument") else set()
    names = {name for one in (*here, *there) for name in one}
    return {f"{kind}.{name}" for name in names if _values(here, name) != _values(there, name)}


def _values(resources: list[Json], name: str) -> list[str]:
    return sorted(text_of(one.get(name)) for one in resources)


def _by_type(templates: Templates) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for stack in templates.stacks.values():
        for one in stack["Resources"].values():
            text = re.sub(rf"{templates.environment}(?!host)", "ENV", without_hashes(text_of(one)))
            found[one["Type"]].append(json.loads(text)["Properties"])
    return found
