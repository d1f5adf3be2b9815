"""The topic of all alarms."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.mesh import Mesh


def topic_of(scope: Construct, mesh: Mesh) -> sns.Topic:
    """Create the topic, with the operator's address if one is configured."""
    closed, address = mesh.profile.enforce_ssl, mesh.profile.settings.alerts_email
    made = sns.Topic(scope, "AlertsTopic", topic_name=mesh.names.alerts_topic, enforce_ssl=closed)
    if closed:
        # A custom policy replaces the default one, which allows the account's alarms to publish.
        made.add_to_resource_policy(_alarms_of(mesh.names.account, topic_arn=made.topic_arn))
    if address:
        sns.CfnSubscription(scope, "OnCall", topic_arn=made.topic_arn, protocol="email", endpoint=address)
    return made


def _alarms_of(account: str, *, topic_arn: str) -> iam.PolicyStatement:
    return iam.PolicyStatement.from_json(
        {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )
