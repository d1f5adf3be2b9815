"""`openapi`: the document of the API."""

import json

import click

from cli.api import Request, send
from cli.errors import Refused
from cli.target import Target, for_target


@click.command()
@for_target
def openapi(target: Target) -> None:
    """Print the OpenAPI document of the API.

    It is the one that is deployed, and JSON with and without --json.
    """
    answer = send(Request("GET", f"{target.outputs['ApiEndpoint']}/v1/openapi.json"))
    if answer.status != 200:
        raise Refused(answer.reason)
    click.echo(json.dumps(answer.body, indent=2, sort_keys=True, ensure_ascii=False))
