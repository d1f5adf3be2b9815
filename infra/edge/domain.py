"""A custom domain name, whose root is the stage."""

from aws_cdk import CfnOutput
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_route53 as route53
from constructs import Construct

from infra.settings import Domain


def attach_domain(scope: Construct, domain: Domain, *, stage: apigateway.CfnStage) -> None:
    """Map a domain name to a stage, and output the target of its DNS record."""
    resource = apigateway.CfnDomainName(
        scope,
        "Domain",
        domain_name=domain.name,
        regional_certificate_arn=domain.certificate_arn,
        endpoint_configuration=apigateway.CfnDomainName.EndpointConfigurationProperty(types=["REGIONAL"]),
        security_policy="TLS_1_2",
    )
    apigateway.CfnBasePathMapping(
        scope, "Root", domain_name=resource.ref, rest_api_id=stage.rest_api_id, stage=stage.ref
    )
    if domain.hosted_zone_id:
        _record(scope, domain, zone_id=domain.hosted_zone_id, target=resource)
    CfnOutput(scope, "DomainTarget", value=resource.attr_regional_domain_name)


def _record(scope: Construct, domain: Domain, *, zone_id: str, target: apigateway.CfnDomainName) -> None:
    alias = route53.CfnRecordSet.AliasTargetProperty(
        dns_name=target.attr_regional_domain_name, hosted_zone_id=target.attr_regional_hosted_zone_id
    )
    for kind in ("A", "AAAA"):
        route53.CfnRecordSet(
            scope, f"Record{kind}", name=domain.name, type=kind, hosted_zone_id=zone_id, alias_target=alias
        )
