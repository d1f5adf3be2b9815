"""A web ACL before the API, where the operator asks for one."""

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.mesh import Mesh

_PER_ADDRESS = 10_000
"""Requests of one address in five minutes: 33 a second; whoever asks more often is a flood."""


def stand_before(scope: Construct, mesh: Mesh, *, stage: apigateway.CfnStage) -> None:
    """Put a web ACL before a stage.

    No rule looks into bodies: prompts are text of any kind, and rules that search for attacks in them would refuse
    honest ones. What a body may be is checked by the functions.
    """
    acl = waf.CfnWebACL(
        scope,
        "Firewall",
        name=mesh.names.of("firewall"),
        scope="REGIONAL",
        default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
        visibility_config=_visible("firewall"),
        rules=[_bad_addresses(), _floods()],
    )
    region, api = Stack.of(scope).region, stage.rest_api_id
    arn = f"arn:aws:apigateway:{region}::/restapis/{api}/stages/{mesh.names.environment}"
    guarded = waf.CfnWebACLAssociation(scope, "Guard", resource_arn=arn, web_acl_arn=acl.attr_arn)
    guarded.add_dependency(stage)


def _bad_addresses() -> waf.CfnWebACL.RuleProperty:
    listed = waf.CfnWebACL.ManagedRuleGroupStatementProperty(
        vendor_name="AWS", name="AWSManagedRulesAmazonIpReputationList"
    )
    return waf.CfnWebACL.RuleProperty(
        name="bad-addresses",
        priority=0,
        statement=waf.CfnWebACL.StatementProperty(managed_rule_group_statement=listed),
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visible("bad-addresses"),
    )


def _floods() -> waf.CfnWebACL.RuleProperty:
    often = waf.CfnWebACL.RateBasedStatementProperty(limit=_PER_ADDRESS, aggregate_key_type="IP")
    return waf.CfnWebACL.RuleProperty(
        name="floods",
        priority=1,
        statement=waf.CfnWebACL.StatementProperty(rate_based_statement=often),
        action=waf.CfnWebACL.RuleActionProperty(block={}),
        visibility_config=_visible("floods"),
    )


def _visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
