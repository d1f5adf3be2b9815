"""`outputs`: what clients of the mesh must know."""

import click

from cli.errors import Refused
from cli.output import show
from cli.target import Target, for_target

_TYPESCRIPT = """export const awsConfig = {{
  region: '{region}',
  userPoolId: '{UserPoolId}',
  userPoolClientId: '{UserPoolClientId}',
  apiEndpoint: '{ApiEndpoint}',
}};"""


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "ts"]), default="text", help="ts: for a front end."
)
@click.argument("name", required=False)
@for_target
def outputs(target: Target, *, form: str, name: str | None) -> None:
    """All outputs of the stacks, or the one that is named."""
    target.as_json = target.as_json or form == "json"
    found = target.outputs
    if name:
        value = one_of(found, name)
        show(target, value, [value])
    elif form == "ts":
        click.echo(typescript(found, region=target.clients.region))
    else:
        show(target, found, [f"{key:22} {value}" for key, value in found.items()])


def one_of(outputs: dict[str, str], name: str) -> str:
    """The value of one output.

    Raises:
        Refused: there is none of this name.
    """
    if name not in outputs:
        msg = f"There is no output {name}; there are {', '.join(outputs)}."
        raise Refused(msg)
    return outputs[name]


def typescript(outputs: dict[str, str], *, region: str) -> str:
    """The front end's `awsConfig`."""
    return _TYPESCRIPT.format(region=region, **outputs)
