"""`demo`."""

import click

from cli.target import Target, for_target


@click.command()
@click.option("--model", type=click.Choice(["local"]), help="Run the agent on a small real model on this machine.")
@for_target
def demo(target: Target, *, model: str | None) -> int:
    """Start the mesh, seed it, and check it with a run and a bill.

    The exit code is 0 if every step has the expected result.
    """
    target.require_local("demo")
    from cli.demo.wiring import run_demo

    return run_demo(target, with_model=model is not None)
