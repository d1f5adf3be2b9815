"""`destroy`."""

import click

from cli.target import Target, for_target


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@for_target
def destroy(target: Target, *, yes: bool) -> None:
    """Remove all stacks of an environment, after confirmation.

    The data of dev is removed with them. Tables, bucket, users, secrets and logs of staging and prod are kept.
    """
    from cli.deployment.aws import destroy_on_aws, require_aws
    from cli.deployment.cdk import Cdk

    require_aws(target, "destroy", instead="use `ainexus reset`")
    destroy_on_aws(target, Cdk(target), yes=yes)
