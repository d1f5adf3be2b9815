"""`up`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@click.option("--force", is_flag=True, help="Deploy even if nothing has changed.")
@for_target
def up(target: Target, *, force: bool) -> None:
    """Start the engine and deploy what has changed."""
    target.require_local("up")
    outputs = target.mesh.up(force=force)
    show(target, outputs, [f"The mesh is up: {outputs['ApiEndpoint']}"])
