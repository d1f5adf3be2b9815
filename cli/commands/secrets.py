"""`secrets`: keys of providers and of Stripe. They are never taken as arguments, which others could read."""

import json
import sys
from typing import TextIO

import click

from cli.errors import Refused
from cli.output import show
from cli.target import Target, for_target

KINDS = {
    "openai": ("openai/key", ("api_key",)),
    "anthropic": ("anthropic/key", ("api_key",)),
    "stripe": ("stripe/secret", ("api_key", "webhook_secret")),
}
"""The secret of each, and its fields."""


@click.group()
def secrets() -> None:
    """Keys of providers and of Stripe."""


@secrets.command("set")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@for_target
def set_(target: Target, *, kind: str) -> None:
    """Put a key in.

    It is typed at a prompt, or comes from standard input, one line for each field.
    """
    secret, fields = KINDS[kind]
    name = target.names.secret(secret)
    given = read_fields(fields, sys.stdin)
    manager = target.clients.secrets
    try:
        manager.put_secret_value(SecretId=name, SecretString=json.dumps(given))
    except manager.exceptions.ResourceNotFoundException as error:
        raise Refused(target.not_deployed) from error
    show(target, {"secret": name}, [f"{name} is set; the functions use it within a minute."])


def read_fields(fields: tuple[str, ...], source: TextIO) -> dict[str, str]:
    """The fields of a secret.

    Raises:
        Refused: one is missing.
    """
    if source.isatty():
        return {field: str(click.prompt(field, hide_input=True, err=True)) for field in fields}
    lines = [line.strip() for line in source.read().splitlines() if line.strip()]
    if len(lines) != len(fields):
        msg = f"Standard input must have {len(fields)} line(s): {', '.join(fields)}."
        raise Refused(msg)
    return dict(zip(fields, lines, strict=True))
