"""AWS's security review of the templates, and each accepted finding with its reason.

A finding that is not accepted fails `ainexus synth` and every deployment to AWS. A finding is accepted where its
construct is created, for that construct alone, and a wildcard in a role only for the actions that need it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import Acknowledgment, App, Validations
from constructs import IConstruct

from infra.policy import Statement

ACCEPTED = {
    "APIG2": "Bodies are checked by the functions, against the models that the OpenAPI document is made of",
    "APIG3": "A web ACL costs money and is the operator's choice: `firewall` in the context of the environment",
    "APIG4": "Asks for no token by design: health, the OpenAPI document, and webhooks, whose signature is checked",
    "APIG6": "The access log has every request and why it was refused; the execution log would hold bodies",
    "COG2": "A second factor is the user's choice: a client may set one up",
    "COG4": "Core's authorizer verifies the pool's tokens, and API keys; public routes ask for none by design",
    "COG8": "The plus plan costs $0.02 per user and month; only admins create users",
    "DDB3": "The table is deleted with its stack and never restored",
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]": (
        "AWS's own role for the logs of API Gateway; there is one in each account and region"
    ),
    "L1": "Python 3.13 is what the bundles are compiled for and tested on; it is supported until October 2029",
    "S1": "Only functions reach objects, each in a folder of its tenant, and log what they do; people need CloudTrail",
    "SMG4": "The keys are made by others (OpenAI, Anthropic, Stripe), who alone can make new ones",
    "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish": "A version is published, and the alias leads to it",
    **dict.fromkeys(("S10", "SNS3", "SQS4"), "The engine on this machine speaks plain HTTP, on the loopback alone"),
    "SQS3": "It contains the publisher's dead letters, which the publisher itself sends",
}
"""Rules of the pack AwsSolutions, without its prefix, and annotations of the CDK."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A resource with a wildcard that these actions may have."""

    actions: frozenset[str]
    resource: re.Pattern[str]
    reason: str


def _wildcard(actions: str, resource: str, reason: str) -> Wildcard:
    return Wildcard(frozenset(actions.split()), re.compile(resource), reason)


WILDCARDS = (
    _wildcard(
        "logs:CreateLogStream logs:PutLogEvents",
        r"arn:aws:logs:.+:log-group:/aws/lambda/[\w-]+:\*",
        "Lambda makes up the names of the streams in the function's own group",
    ),
    _wildcard("xray:PutTelemetryRecords xray:PutTraceSegments", r"\*", "X-Ray has no resources"),
    _wildcard("dynamodb:ListStreams", r"\*", "DynamoDB asks for it on all streams"),
    _wildcard(
        "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator",
        r"arn:aws:dynamodb:.+:table/[\w-]+/stream/\*",
        "A stream is named by the time at which it was made",
    ),
    _wildcard(
        "s3:GetObject s3:PutObject s3:DeleteObject s3:DeleteObjectVersion",
        r"arn:aws:s3:::[\w-]+/tenants/<aws:PrincipalTag/tenant_id>/[\w-]+/\*",
        "All objects in one folder of the tenant that is acted for",
    ),
    _wildcard(
        "s3:GetObject s3:PutObject s3:DeleteObject s3:DeleteObjectVersion",
        r"arn:aws:s3:::[\w-]+/tenants/\*/[\w-]+/\*",
        "Events and schedules concern every tenant: one folder of each",
    ),
    _wildcard(
        "secretsmanager:CreateSecret secretsmanager:DeleteSecret secretsmanager:GetSecretValue"
        " secretsmanager:PutSecretValue secretsmanager:RestoreSecret",
        r"arn:aws:secretsmanager:.+:secret:[\w-]+/tenants/<aws:PrincipalTag/tenant_id>/\*",
        "All secrets of the tenant that is acted for",
    ),
    _wildcard(
        "secretsmanager:DeleteSecret",
        r"arn:aws:secretsmanager:.+:secret:[\w-]+/tenants/\*/\*",
        "Removing a tenant removes its secrets, and reads none",
    ),
    _wildcard(
        "bedrock:InvokeModelWithResponseStream",
        r"arn:aws:bedrock:.+/\*",
        "Which model is called, in which region, is a tenant's choice",
    ),
)


def review(app: App) -> None:
    """Add the review to the synthesis of the templates."""
    from cdk_nag import AwsSolutionsChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType] — a plugin of CDK's


def accept_plain_http(app: App) -> None:
    """Accept everywhere that requests need no TLS."""
    accept(app, "S10", "SNS3", "SQS4")


def accept(construct: IConstruct, *rules: str) -> None:
    """Accept the findings of these rules in a construct."""
    Validations.of(construct).acknowledge(*(_accepted(rule, ACCEPTED[rule]) for rule in rules))


def accept_wildcards(role: IConstruct, statements: Sequence[Statement]) -> None:
    """Accept the wildcards of a role that have a reason. All others remain findings."""
    for resource in sorted({resource for one in statements for resource in _has_wildcard(one)}):
        found = reasons(resource, statements)
        if found:
            rule = f"IAM5[Resource::{resource}]"
            Validations.of(role).acknowledge(_accepted(rule, "; ".join(sorted(found))))


def reasons(resource: str, statements: Sequence[Statement]) -> set[str]:
    """Return the reasons of all statements with this resource; nothing if one of them has none."""
    found = {_reason(resource, frozenset(one["Action"])) for one in statements if resource in _has_wildcard(one)}
    return set() if None in found else {one for one in found if one}


def _reason(resource: str, actions: frozenset[str]) -> str | None:
    fitting = (one for one in WILDCARDS if actions <= one.actions and one.resource.fullmatch(resource))
    return next((one.reason for one in fitting), None)


def _has_wildcard(statement: Statement) -> Iterator[str]:
    """Return the resources with a wildcard, as the review writes them."""
    resource = statement["Resource"]
    listed = [resource] if isinstance(resource, str) else resource
    return (one.replace("${", "<").replace("}", ">") for one in listed if "*" in one)


def _accepted(rule: str, reason: str) -> Acknowledgment:
    prefix = "" if rule.startswith("Annotation::") else "AwsSolutions::AwsSolutions-"
    return Acknowledgment(id=prefix + rule, reason=reason)
