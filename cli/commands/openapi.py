"""`openapi`."""

import json

import click

from cli.api import ApiRequest, send
from cli.errors import CommandRefused
from cli.target import Target, for_target


@click.command()
@for_target
def openapi(target: Target) -> None:
    """Print the OpenAPI document of the deployed API.

    It is JSON with and without --json.
    """
    response = send(ApiRequest("GET", f"{target.outputs['ApiEndpoint']}/v1/openapi.json"))
    if response.status != 200:
        raise CommandRefused(response.reason)
    click.echo(json.dumps(response.body, indent=2, sort_keys=True, ensure_ascii=False))
