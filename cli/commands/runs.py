"""`runs`."""

import time

import click

from cli.api import send
from cli.output import show
from cli.run_stream import fetch_run, follow_run, format_event, lines_of
from cli.target import Target, for_target

_PAUSE_S = 0.3


@click.group()
def runs() -> None:
    """Follow runs."""


@runs.command("tail")
@click.argument("run_id")
@click.option("--user", "email", required=True, help="Address of the user to sign in as.")
@click.option("--tenant", help="Id of the tenant. The default is the user's own.")
@for_target
def tail(target: Target, *, run_id: str, email: str, tenant: str | None) -> int:
    """Stream the text of a run until it ends.

    The exit code is 0 if the run completed.
    """
    from cli.sign_in import sign_in

    signed_in = sign_in(target, email)
    url = f"{target.outputs['ApiEndpoint']}/v1/tenants/{tenant or signed_in.tenant_id}/runs/{run_id}"
    for event in follow_run(url, signed_in.token, send=send, pause=lambda: time.sleep(_PAUSE_S)):
        click.echo(format_event(event), nl=False, err=target.as_json)
    run = fetch_run(url, signed_in.token, send=send)
    show(target, run, lines_of(run))
    return 0 if run["status"] == "completed" else 1
