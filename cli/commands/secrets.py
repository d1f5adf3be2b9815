"""`secrets`. Keys are never arguments, because other users of the machine can read those."""

import json
import sys
from typing import TextIO

import click

from cli.errors import CommandRefused
from cli.output import show
from cli.target import Target, for_target

KINDS = {
    "openai": ("openai/key", ("api_key",)),
    "anthropic": ("anthropic/key", ("api_key",)),
    "stripe": ("stripe/secret", ("api_key", "webhook_secret")),
}
"""The secret and its fields, by kind."""


@click.group()
def secrets() -> None:
    """Set the keys of providers and of Stripe."""


@secrets.command("set")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@for_target
def set_(target: Target, *, kind: str) -> None:
    """Set the key of KIND.

    It is read from a prompt, or from standard input with one line for each field.
    """
    secret, fields = KINDS[kind]
    name = target.names.secret(secret)
    values = read_fields(fields, sys.stdin)
    manager = target.clients.secrets
    try:
        manager.put_secret_value(SecretId=name, SecretString=json.dumps(values))
    except manager.exceptions.ResourceNotFoundException as error:
        raise CommandRefused(target.not_deployed) from error
    show(target, {"secret": name}, [f"{name} is set. The functions use it within a minute."])


def read_fields(fields: tuple[str, ...], source: TextIO) -> dict[str, str]:
    """Read the fields of a secret from a prompt, or from the lines of a stream that is no terminal.

    Raises:
        CommandRefused: there are more or fewer lines than fields.
    """
    if source.isatty():
        return {field: str(click.prompt(field, hide_input=True, err=True)) for field in fields}
    lines = [line.strip() for line in source.read().splitlines() if line.strip()]
    if len(lines) != len(fields):
        msg = f"Standard input must have {len(fields)} line(s): {', '.join(fields)}."
        raise CommandRefused(msg)
    return dict(zip(fields, lines, strict=True))
