"""A web ACL for the API, if the operator configures one."""

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.mesh import Mesh

_MAX_REQUESTS_PER_ADDRESS = 10_000
"""The limit of requests from one address in five minutes: 33 a second. More is a flood."""


def attach_firewall(scope: Construct, mesh: Mesh, *, stage: apigateway.CfnStage) -> None:
    """Add a web ACL to a stage.

    No rule inspects bodies: prompts are text of any kind, and rules that search for attacks would refuse valid ones.
    The functions validate bodies.
    """
    acl = waf.CfnWebACL(
        scope,
        "Firewall",
        name=mesh.names.of("firewall"),
        scope="REGIONAL",
        default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
        visibility_config=_visible("firewall"),
        rules=[_bad_addresses(), _rate_limit()],
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


def _rate_limit() -> waf.CfnWebACL.RuleProperty:
    often = waf.CfnWebACL.RateBasedStatementProperty(limit=_MAX_REQUESTS_PER_ADDRESS, aggregate_key_type="IP")
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
