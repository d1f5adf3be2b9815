"""`bootstrap`, `synth`, `diff`, `deploy`, `destroy`: the same stacks, on this machine or on AWS."""

import click

from cli.deployment.account import check_account, check_bootstrapped, said_of
from cli.deployment.cdk import Cdk
from cli.deployment.confirmation import confirm_by_name
from cli.deployment.leftovers import kept, remove_data, unprotect
from cli.errors import Refused
from cli.output import show
from cli.target import Target, for_target
from infra.local.environment import ACCOUNT
from infra.local.stacks import stacks_of
from infra.profile import PROFILES

_YES = click.option("--yes", is_flag=True, help="Do not ask; for automation.")
_ASKED_FOR = "prod"
"""The environment that is deployed only when somebody has typed its name."""


@click.command()
@_YES
@for_target
def deploy(target: Target, *, yes: bool) -> None:
    """Deploy all stacks of an environment.

    What would change is shown first, and the outputs afterwards; for prod, its name must be typed in between.
    """
    if target.is_local:
        outputs = target.mesh.up(force=True)
        show(target, outputs, [f"The mesh is up: {outputs['ApiEndpoint']}"])
        return
    deploy_to_aws(target, Cdk(target), yes=yes)


def deploy_to_aws(target: Target, cdk: Cdk, *, yes: bool) -> None:
    """Show what would change, ask where that is due, deploy just that, and say the outputs."""
    check_account(target, said_of(target.environment))
    check_bootstrapped(target)
    cdk.diff(speaks=False)
    if target.environment == _ASKED_FOR and not yes:
        confirm_by_name(target.environment, consequence=f"This changes production, in {_where(target)}.")
    cdk.deploy_shown()
    show(target, target.outputs, [f"{key:22} {value}" for key, value in target.outputs.items()])


@click.command()
@click.option("--account", default=ACCOUNT, show_default=True, help="The account that the templates name.")
@for_target
def synth(target: Target, *, account: str) -> None:
    """Write the templates of all stacks.

    The CDK's own checks and AWS's security review are made, and a warning is an error. Needs no credentials.
    """
    Cdk(target).synth(account)


@click.command()
@for_target
def diff(target: Target) -> None:
    """Show what a deployment would change."""
    if not target.is_local:
        check_account(target, said_of(target.environment))
    Cdk(target).diff()


@click.command()
@for_target
def bootstrap(target: Target) -> None:
    """Prepare an account and region for deployments, once."""
    _refuse_local(target, "bootstrap", "`ainexus up` does it by itself")
    check_account(target, said_of(target.environment))
    Cdk(target).bootstrap()


@click.command()
@_YES
@for_target
def destroy(target: Target, *, yes: bool) -> None:
    """Remove all stacks of an environment; its name must be typed.

    In dev the data goes with them. In staging and prod tables, bucket, users, secrets and logs stay.
    """
    _refuse_local(target, "destroy", "use `ainexus reset`")
    destroy_on_aws(target, Cdk(target), yes=yes)


def destroy_on_aws(target: Target, cdk: Cdk, *, yes: bool) -> None:
    """Remove the stacks: first those that write, then what they wrote where it is not kept, then core."""
    check_account(target, said_of(target.environment))
    found = [stack.name for stack in stacks_of(target.clients.cloudformation, target.environment)]
    if not found:
        msg = f"There is nothing of {target.environment} in {_where(target)}."
        raise Refused(msg)
    retain = PROFILES[target.environment].retain
    if not yes:
        data = "its data stays" if retain else "ALL ITS DATA goes with them"
        confirm_by_name(
            target.environment, consequence=f"This removes {len(found)} stacks in {_where(target)}; {data}."
        )
    cdk.write_names()
    if retain:
        unprotect(target, found)
    core = target.names.stack("core")
    if others := [name for name in found if name != core]:
        cdk.destroy(*others)
    if core in found:
        if not retain:
            remove_data(target)
        cdk.destroy(core)
    stays = kept(target) if retain else []
    show(target, {"removed": found, "kept": stays}, ["The stacks are gone.", *(f"kept   {one}" for one in stays)])


COMMANDS = (bootstrap, synth, diff, deploy, destroy)


def _where(target: Target) -> str:
    return f"the account {target.names.account}, {target.names.region}"


def _refuse_local(target: Target, command: str, instead: str) -> None:
    if target.is_local:
        msg = f"`{command}` is for AWS: name an environment with --env. On this machine {instead}."
        raise Refused(msg)
