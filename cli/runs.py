"""`runs`: what becomes of a run."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from cli.answer import show
from cli.api import Request, Send, send
from cli.errors import Refused
from cli.sign_in import SignedIn, sign_in
from cli.target import Target, for_target

FINAL = frozenset({"completed", "failed", "cancelled"})
_PAUSE_S = 0.5


@click.group()
def runs() -> None:
    """What becomes of a run."""


@runs.command("tail")
@click.argument("run_id")
@click.option("--user", "email", required=True, help="Address of the user in whose name it is read.")
@click.option("--tenant", help="Id of the tenant; the default is the user's own.")
@for_target
def tail(target: Target, *, run_id: str, email: str, tenant: str | None) -> int:
    """Follow a run to its end.

    The exit code is 0 only when it completed.
    """
    signed_in = sign_in(target, email)
    url = f"{target.outputs['ApiEndpoint']}/v1/tenants/{tenant or _tenant_of(signed_in)}/runs/{run_id}"
    run: dict[str, Any] = {}
    for run in states_of(url, signed_in.token, send=send, pause=lambda: time.sleep(_PAUSE_S)):
        click.echo(f"{run['status']}", err=target.as_json)
    show(target, run, lines_of(run))
    return 0 if run["status"] == "completed" else 1


def states_of(url: str, token: str, *, send: Send, pause: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """The run each time that its status has changed, the last time when it is final.

    Raises:
        Refused: it cannot be read.
    """
    status = None
    while status not in FINAL:
        answer = send(Request("GET", url, token=token))
        if answer.status != 200:
            raise Refused(answer.reason)
        run: dict[str, Any] = answer.body["run"]
        if run["status"] != status:
            status = run["status"]
            yield run
        else:
            pause()


def lines_of(run: dict[str, Any]) -> list[str]:
    """What a person wants to know of a run that has ended."""
    if run["status"] != "completed":
        error: dict[str, Any] = run.get("error") or {}
        return [f"{error.get('code', run['status'])}: {error.get('message', '')}"]
    output: dict[str, Any] = run.get("output") or {}
    return [str(output.get("message"))]


def _tenant_of(signed_in: SignedIn) -> str:
    tenant = signed_in.claims.get("custom:tenant_id")
    if tenant is None:
        msg = "This user belongs to no tenant: say which one with --tenant."
        raise Refused(msg)
    return str(tenant)
