"""The command line put together, and what becomes of errors."""

from collections.abc import Sequence

import click

from cli import logs, run_stream, seed
from cli.commands import (
    billing,
    cost_model,
    dead_letters,
    events,
    openapi,
    outputs,
    quarantine,
    reconcile,
    secrets,
    status,
    tenants,
    token,
    users,
)
from cli.demo import wiring
from cli.deployment import aws
from cli.doctor import examination
from cli.errors import explain

_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def ainexus() -> None:
    """The mesh on this machine (--env local), or one deployed on AWS (dev, staging, prod)."""


for _command in (
    status.up,
    status.down,
    status.reset,
    status.status,
    examination.doctor,
    wiring.demo,
    *aws.COMMANDS,
    outputs.outputs,
    seed.seed,
    token.token,
    tenants.tenants,
    users.users,
    secrets.secrets,
    billing.billing,
    reconcile.reconcile,
    run_stream.runs,
    events.events,
    logs.logs,
    dead_letters.dead_letters,
    quarantine.quarantine,
    openapi.openapi,
    cost_model.cost_model,
):
    ainexus.add_command(_command)


def main(arguments: Sequence[str]) -> int:
    """Run a command; the usual troubles become one line and an exit code."""
    try:
        code = ainexus.main(list(arguments), prog_name="ainexus", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nInterrupted.", err=True)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 — the edge: known troubles are explained, all else is raised again
        return _explained(error)
    return code if isinstance(code, int) else 0


def _explained(error: Exception) -> int:
    line = explain(error)
    if line is None:
        raise error
    click.echo(f"Error: {line}", err=True)
    return 1
