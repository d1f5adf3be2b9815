"""`diff`."""

import click

from cli.target import Target, for_target


@click.command()
@for_target
def diff(target: Target) -> None:
    """Show the changes that a deployment would make."""
    from cli.deployment.aws import show_changes
    from cli.deployment.cdk import Cdk

    show_changes(target, Cdk(target))
