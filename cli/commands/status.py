"""`up`, `down`, `reset`, `status`: the mesh on this machine."""

import click

from cli.api import Request, send
from cli.output import show
from cli.target import Target, for_target
from infra.local.engine import State
from infra.local.stacks import Stack, outputs_of, stacks_of


@click.command()
@click.option("--force", is_flag=True, help="Deploy although nothing has changed.")
@for_target
def up(target: Target, *, force: bool) -> None:
    """Start the engine and deploy what has changed."""
    target.refuse_unless_local("up")
    outputs = target.mesh.up(force=force)
    show(target, outputs, [f"The mesh is up: {outputs['ApiEndpoint']}"])


@click.command()
@for_target
def down(target: Target) -> None:
    """Stop the engine; all data stays."""
    target.refuse_unless_local("down")
    was_up = target.mesh.down()
    show(target, {"stopped": was_up}, ["The mesh is down." if was_up else "The mesh was not up."])


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@for_target
def reset(target: Target, *, yes: bool) -> None:
    """Stop the engine and remove all local data."""
    target.refuse_unless_local("reset")
    if not yes:
        click.confirm(f"Remove all data of the mesh in {target.mesh.home.state}?", abort=True, err=True)
    target.mesh.reset()
    show(target, {"reset": True}, ["All local data is gone. `ainexus up` begins anew."])


@click.command()
@for_target
def status(target: Target) -> int:
    """How the mesh is.

    The exit code is 0 only when all of it is up.
    """
    engine = target.mesh.engine.status() if target.is_local else None
    if engine and engine.state is not State.RUNNING:
        show(target, {"engine": engine.state, "port": engine.port}, [f"engine   {engine.state}"])
        return 1
    stacks = stacks_of(target.clients.cloudformation, target.environment)
    url = target.outputs["ApiEndpoint"] if _api_is_there(stacks) else None
    api = _health(f"{url}/v1/health") if url else "not deployed"
    stripe = target.mesh.stripe.endpoint if target.is_local else None
    data = {
        "engine": engine and engine.state,
        "port": engine and engine.port,
        "version": engine and engine.version,
        "stacks": {stack.name: stack.status for stack in stacks},
        "stripe": stripe,
        "api": api,
        "url": url,
    }
    lines = [f"engine   running on port {engine.port}, version {engine.version}"] if engine else []
    lines += [f"Stripe   {stripe or 'is not the local one'}"] if engine else []
    lines += [f"{stack.name:24} {stack.status}" for stack in stacks] + [f"API      {api}  {url or ''}"]
    show(target, data, lines)
    return 0 if api == "healthy" and all(stack.is_complete for stack in stacks) else 1


def _api_is_there(stacks: tuple[Stack, ...]) -> bool:
    return "ApiEndpoint" in outputs_of(stacks)


def _health(url: str) -> str:
    try:
        answer = send(Request("GET", url))
    except OSError as error:
        return f"does not answer: {error}"
    return "healthy" if answer.status == 200 else f"answers {answer.status}"
