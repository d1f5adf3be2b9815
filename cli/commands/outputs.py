"""`outputs`."""

import click

from cli.errors import CommandRefused
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
    "--format",
    "form",
    type=click.Choice(["text", "json", "ts"]),
    default="text",
    help="The format; ts is a front end's configuration.",
)
@click.argument("name", required=False)
@for_target
def outputs(target: Target, *, form: str, name: str | None) -> None:
    """Print all outputs of the stacks, or the one named NAME."""
    target.as_json = target.as_json or form == "json"
    found = target.outputs
    if name:
        value = find_output(found, name)
        show(target, value, [value])
    elif form == "ts":
        click.echo(format_typescript(found, region=target.clients.region))
    else:
        show(target, found, [f"{key:22} {value}" for key, value in found.items()])


def find_output(outputs: dict[str, str], name: str) -> str:
    """Return the value of an output.

    Raises:
        CommandRefused: there is no output of this name.
    """
    if name not in outputs:
        msg = f"There is no output {name}. Use one of {', '.join(outputs)}."
        raise CommandRefused(msg)
    return outputs[name]


def format_typescript(outputs: dict[str, str], *, region: str) -> str:
    """Return the front end's `awsConfig` in TypeScript."""
    return _TYPESCRIPT.format(region=region, **outputs)
