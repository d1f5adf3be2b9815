"""Passwords of new users."""

import secrets

import click

from cli.target import Target


def password_for(target: Target) -> str:
    """Return the temporary password of new users: random on this machine, where no sign-in needs it, else prompted."""
    if target.is_local:
        return new_password()
    return str(click.prompt("Temporary password for new users", hide_input=True, confirmation_prompt=True, err=True))


def new_password() -> str:
    """Return a random password with upper and lower case, a digit and a symbol."""
    return f"{secrets.token_urlsafe(18)}Aa1!"
