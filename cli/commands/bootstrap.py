"""`bootstrap`."""

import click

from cli.target import Target, for_target


@click.command()
@for_target
def bootstrap(target: Target) -> None:
    """Prepare an account and region for deployments, once."""
    from cli.deployment.aws import bootstrap_account, require_aws
    from cli.deployment.cdk import Cdk

    require_aws(target, "bootstrap", instead="`ainexus up` prepares the local engine")
    bootstrap_account(target, Cdk(target))
