"""Asking before something cannot be taken back."""

import click

from cli.errors import Refused


def confirm_by_name(environment: str, *, consequence: str) -> None:
    """Ask for the name of the environment.

    Raises:
        Refused: something else was typed, or nothing.
    """
    click.echo(consequence, err=True)
    try:
        typed = str(click.prompt(f"To go on, type {environment}", err=True))
    except click.Abort:
        typed = ""
    if typed != environment:
        msg = "Nothing was changed. (In automation: --yes, or YES=1 with make.)"
        raise Refused(msg)
