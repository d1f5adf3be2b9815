"""`bootstrap`, `synth`, `diff`, `deploy`, `destroy`: the same stacks, on this machine or on AWS."""

import shlex
import subprocess
import sys
from collections.abc import Sequence

import click

from cli.answer import show
from cli.errors import Refused
from cli.target import Target, for_target
from infra import tools
from infra.local.cdk import context_of
from infra.local.environment import ACCOUNT, for_aws_clients
from infra.local.paths import ROOT
from infra.names import REGION


@click.command()
@for_target
def deploy(target: Target) -> int:
    """Deploy all stacks of an environment."""
    if target.is_local:
        outputs = target.mesh.up(force=True)
        show(target, outputs, [f"The mesh is up: {outputs['ApiEndpoint']}"])
        return 0
    return run_cdk(target, "deploy", "--all")


@click.command()
@click.option("--account", default=ACCOUNT, show_default=True, help="The account that the templates name.")
@for_target
def synth(target: Target, *, account: str) -> int:
    """Write the templates of all stacks.

    All of the CDK's own checks are made, and a warning is an error.
    """
    return run_cdk(target, "synth", "--quiet", "--strict", account=account)


@click.command()
@for_target
def diff(target: Target) -> int:
    """Show what a deployment would change."""
    return run_cdk(target, "diff", "--all")


@click.command()
@for_target
def bootstrap(target: Target) -> int:
    """Prepare an account and region for deployments, once."""
    _refuse_local(target, "bootstrap", "`ainexus up` does it by itself")
    return run_cdk(target, "bootstrap", f"aws://{target.names.account}/{target.names.region}")


@click.command()
@for_target
def destroy(target: Target) -> int:
    """Remove all stacks of an environment; the CDK asks before."""
    _refuse_local(target, "destroy", "use `ainexus reset`")
    return run_cdk(target, "destroy", "--all")


COMMANDS = (bootstrap, synth, diff, deploy, destroy)


def run_cdk(target: Target, verb: str, *arguments: str, account: str | None = None) -> int:
    """Run the CDK command line for an environment, say how, and give back its exit code."""
    command = cdk_arguments(target, verb, *arguments, account=account)
    click.echo(f"$ cdk {shlex.join(command)}", err=True)
    environ = tools.node_environment()
    if target.is_local:
        environ = for_aws_clients(environ, port=target.mesh.port())
    sys.stdout.flush()
    return subprocess.run([*tools.cdk_command(), *command], cwd=ROOT, env=environ, check=False).returncode  # noqa: S603 — the pinned CDK command line


def cdk_arguments(target: Target, verb: str, *arguments: str, account: str | None = None) -> Sequence[str]:
    """What follows `cdk`."""
    region = target.names.region if account is None else REGION
    context = context_of(target.environment, account or target.names.account, region)
    # Each environment has its folder, so that two can be worked on at once.
    return [verb, *arguments, *context, "--output", f".ainexus/cdk.out.{target.environment}", "--no-notices"]


def _refuse_local(target: Target, command: str, instead: str) -> None:
    if target.is_local:
        msg = f"`{command}` is for AWS: name an environment with --env. On this machine {instead}."
        raise Refused(msg)
