"""AWS's own security review of the templates, and each finding of it that is accepted, with the reason.

A finding that is not accepted fails `ainexus synth` and every deployment to AWS. What is accepted is accepted where the
construct is made, for that construct alone; a wildcard in a role, for the very actions that have it.
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
    "COG2": "A second factor is the choice of whoever signs in: the client may set one up for its user",
    "COG4": "Asks for no token by design: health, the OpenAPI document, and webhooks, whose signature is checked",
    "COG8": "The plus plan costs $0.02 a month for each user; nobody signs up by themselves",
    "DDB3": "The table goes with its stack; nobody will want it back as it was",
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]": (
        "AWS's own role for the logs of API Gateway; there is one in each account and region"
    ),
    "L1": "Python 3.13 is what the bundles are compiled for and tested on; it is supported until October 2029",
    "S1": "Only functions reach objects, each in a folder of its tenant, and log what they do; people need CloudTrail",
    "SMG4": "The keys are made by others (OpenAI, Anthropic, Stripe), who alone can make new ones",
    "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish": "A version is published, and the alias leads to it",
    **dict.fromkeys(("S10", "SNS3", "SQS4"), "The engine on this machine speaks plain HTTP, on the loopback alone"),
    "SQS3": "It is where dead letters lie: those of the publisher, which sends them itself",
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
    """Have the templates reviewed when they are synthesized."""
    from cdk_nag import AwsSolutionsChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType] — a plugin of CDK's


def accept_plain_http(app: App) -> None:
    """Accept everywhere that requests need no TLS."""
    accept(app, "S10", "SNS3", "SQS4")


def accept(construct: IConstruct, *rules: str) -> None:
    """Accept what the review finds in a construct by these rules."""
    Validations.of(construct).acknowledge(*(_accepted(rule, ACCEPTED[rule]) for rule in rules))


def accept_wildcards(role: IConstruct, statements: Sequence[Statement]) -> None:
    """Accept those wildcards of a role that have a reason; the others are found."""
    for resource in sorted({resource for one in statements for resource in _loose(one)}):
        found = reasons(resource, statements)
        if found:
            rule = f"IAM5[Resource::{resource}]"
            Validations.of(role).acknowledge(_accepted(rule, "; ".join(sorted(found))))


def reasons(resource: str, statements: Sequence[Statement]) -> set[str]:
    """Why the statements with this resource may have it; nothing when one of them has no reason."""
    found = {_reason(resource, frozenset(one["Action"])) for one in statements if resource in _loose(one)}
    return set() if None in found else {one for one in found if one}


def _reason(resource: str, actions: frozenset[str]) -> str | None:
    fitting = (one for one in WILDCARDS if actions <= one.actions and one.resource.fullmatch(resource))
    return next((one.reason for one in fitting), None)


def _loose(statement: Statement) -> Iterator[str]:
    """The resources with a wildcard, as the review writes them."""
    said = statement["Resource"]
    listed = [said] if isinstance(said, str) else said
    return (one.replace("${", "<").replace("}", ">") for one in listed if "*" in one)


def _accepted(rule: str, reason: str) -> Acknowledgment:
    prefix = "" if rule.startswith("Annotation::") else "AwsSolutions::AwsSolutions-"
    return Acknowledgment(id=prefix + rule, reason=reason)
