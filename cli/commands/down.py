"""`down`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@for_target
def down(target: Target) -> None:
    """Stop the engine and keep all data."""
    target.require_local("down")
    was_up = target.mesh.down()
    show(target, {"stopped": was_up}, ["The mesh is down." if was_up else "The mesh was not up."])
