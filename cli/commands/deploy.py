"""`deploy`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@for_target
def deploy(target: Target, *, yes: bool) -> None:
    """Deploy all stacks of an environment.

    The changes are shown first, the outputs afterwards. A deployment to prod asks for the name of the environment.
    """
    if target.is_local:
        outputs = target.mesh.up(force=True)
        show(target, outputs, [f"The mesh is up: {outputs['ApiEndpoint']}"])
        return
    from cli.deployment.aws import deploy_to_aws
    from cli.deployment.cdk import Cdk

    deploy_to_aws(target, Cdk(target), yes=yes)
