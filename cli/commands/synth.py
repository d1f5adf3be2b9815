"""`synth`."""

import click

from cli.target import Target, for_target
from infra.local.environment import ACCOUNT


@click.command()
@click.option("--account", default=ACCOUNT, show_default=True, help="The account that the templates name.")
@for_target
def synth(target: Target, *, account: str) -> None:
    """Write the templates of all stacks.

    The CDK's validation and AWS's security rules are applied; a warning is an error. No credentials are needed.
    """
    from cli.deployment.cdk import Cdk

    Cdk(target).synth(account)
