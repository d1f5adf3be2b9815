"""`status`."""

from typing import TYPE_CHECKING

import click

from cli.api import ApiRequest, send
from cli.output import show
from cli.target import Target, for_target

if TYPE_CHECKING:
    from infra.local.stacks import Stack


@click.command()
@for_target
def status(target: Target) -> int:
    """Show the state of the engine, the stacks and the API.

    The exit code is 0 if all of them are up.
    """
    from infra.local.engine import State
    from infra.local.stacks import stacks_of

    engine = target.mesh.engine.status() if target.is_local else None
    if engine and engine.state is not State.RUNNING:
        show(target, {"engine": engine.state, "port": engine.port}, [f"engine   {engine.state}"])
        return 1
    stacks = stacks_of(target.clients.cloudformation, target.environment)
    url = target.outputs["ApiEndpoint"] if _has_api(stacks) else None
    api = _check_api(f"{url}/v1/health") if url else "not deployed"
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
    lines += [f"Stripe   {stripe or 'not the local one'}"] if engine else []
    lines += [f"{stack.name:24} {stack.status}" for stack in stacks] + [f"API      {api}  {url or ''}"]
    show(target, data, lines)
    return 0 if api == "healthy" and all(stack.is_complete for stack in stacks) else 1


def _has_api(stacks: "tuple[Stack, ...]") -> bool:
    return any("ApiEndpoint" in stack.outputs for stack in stacks)


def _check_api(url: str) -> str:
    try:
        response = send(ApiRequest("GET", url))
    except OSError as error:
        return f"does not respond: {error}"
    return "healthy" if response.status == 200 else f"responds with {response.status}"
