"""Confirmation of changes that cannot be undone."""

import click

from cli.errors import CommandRefused


def confirm_by_name(environment: str, *, consequence: str) -> None:
    """Ask the user to type the name of the environment.

    Raises:
        CommandRefused: the user typed something else, or nothing.
    """
    click.echo(consequence, err=True)
    try:
        typed = str(click.prompt(f"Type {environment} to continue", err=True))
    except click.Abort:
        typed = ""
    if typed != environment:
        msg = "Nothing was changed. In automation, use --yes, or YES=1 with make."
        raise CommandRefused(msg)
