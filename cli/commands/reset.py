"""`reset`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@for_target
def reset(target: Target, *, yes: bool) -> None:
    """Stop the engine and remove all local data."""
    target.require_local("reset")
    if not yes:
        click.confirm(f"Remove all data of the mesh in {target.mesh.home.state}?", abort=True, err=True)
    target.mesh.reset()
    show(target, {"reset": True}, ["All local data is removed. `ainexus up` starts an empty mesh."])
