"""The CDK application: `python -m infra.app`, with the context `environment`, `account` and `region`."""

import os
from collections.abc import Sequence
from dataclasses import replace

from aws_cdk import App, Environment, Tags

from infra.bundle.asset import Bundles
from infra.core.document import openapi_json
from infra.core.stack import CoreStack
from infra.edge.stack import EdgeStack
from infra.mesh import Mesh
from infra.monitoring.stack import MonitoringStack
from infra.names import PRODUCT, REGION, Names
from infra.profile import PROFILES, Profile
from infra.review import accept_plain_http, review
from infra.service.stack import ServiceStack
from infra.services import SERVICES
from infra.settings import CONTEXT, settings_of
from shared.declaration import Service


def build(app: App, profile: Profile, services: Sequence[Service], *, openapi: bytes) -> None:
    """Create all stacks of one environment in the application's account and region."""
    account = str(app.node.get_context("account"))
    region = str(app.node.try_get_context("region") or REGION)
    bundles = Bundles(target=profile.target, with_packages=app.node.try_get_context("bundle") != "source")
    mesh = Mesh(Names(profile.environment, account, region), profile, tuple(services), bundles, openapi)
    options = {"env": Environment(account=account, region=region), "termination_protection": profile.retain}
    core = CoreStack(app, mesh, **options)
    edge = EdgeStack(app, mesh, core=core, **options)
    monitoring = MonitoringStack(app, mesh, **options)
    for service in mesh.services:
        stack = ServiceStack(app, mesh, service, core=core, **options)
        stack.add_stack_dependency(core)
        Tags.of(stack).add("service", service.name)
        for last in (edge, monitoring):
            last.add_stack_dependency(stack)
    edge.add_stack_dependency(core)
    monitoring.add_stack_dependency(core)
    for name, value in {"product": PRODUCT, "environment": profile.environment, **profile.settings.tags}.items():
        Tags.of(app).add(name, value)
    bundles.prune()


def main() -> None:
    """Create the application for the environment in the context."""
    app = App(analytics_reporting=False)
    environment = str(app.node.get_context("environment"))
    settings = settings_of(environment, app.node.try_get_context(CONTEXT))
    profile = replace(PROFILES[environment], settings=settings)
    stripe = app.node.try_get_context("stripe_api_base")
    if stripe:
        profile = replace(profile, stripe_api_base=str(stripe))
    build(app, profile, SERVICES, openapi=openapi_json(SERVICES))
    if os.environ.get("CDK_VALIDATION") != "false":
        review(app)
        if not profile.enforce_ssl:
            accept_plain_http(app)
    app.synth()


if __name__ == "__main__":
    main()
