"""Deployment of an environment on AWS: the checks, the order of the steps, and confirmation."""

from cli.deployment.account import check_account, check_bootstrapped, read_settings
from cli.deployment.cdk import Cdk
from cli.deployment.confirmation import confirm_by_name
from cli.deployment.leftovers import disable_termination_protection, list_retained, remove_data
from cli.errors import CommandRefused
from cli.output import show
from cli.target import Target
from infra.local.stacks import stacks_of
from infra.profile import PROFILES

PRODUCTION = "prod"
"""The environment whose deployment needs confirmation."""


def require_aws(target: Target, command: str, *, instead: str) -> None:
    """Refuse a command that works on AWS only.

    Raises:
        CommandRefused: the target is the mesh on this machine.
    """
    if target.is_local:
        msg = f"`{command}` works only on AWS. Name an environment with --env; on this machine {instead}."
        raise CommandRefused(msg)


def bootstrap_account(target: Target, cdk: Cdk) -> None:
    """Create the CDK's bootstrap stack in the account and region of an environment."""
    check_account(target, read_settings(target.environment))
    cdk.bootstrap()


def show_changes(target: Target, cdk: Cdk) -> None:
    """Show the changes that a deployment would make."""
    if not target.is_local:
        check_account(target, read_settings(target.environment))
    cdk.diff()


def deploy_to_aws(target: Target, cdk: Cdk, *, yes: bool) -> None:
    """Show the changes, ask for confirmation in production, deploy exactly these changes, and print the outputs."""
    check_account(target, read_settings(target.environment))
    check_bootstrapped(target)
    cdk.diff(to_stdout=False)
    if target.environment == PRODUCTION and not yes:
        confirm_by_name(target.environment, consequence=f"This changes production in {_location(target)}.")
    cdk.deploy_shown()
    show(target, target.outputs, [f"{key:22} {value}" for key, value in target.outputs.items()])


def destroy_on_aws(target: Target, cdk: Cdk, *, yes: bool) -> None:
    """Remove the stacks that write data, then the data unless it is retained, then the core stack."""
    check_account(target, read_settings(target.environment))
    found = [stack.name for stack in stacks_of(target.clients.cloudformation, target.environment)]
    if not found:
        msg = f"There are no stacks of {target.environment} in {_location(target)}."
        raise CommandRefused(msg)
    retain = PROFILES[target.environment].retain
    if not yes:
        data = "its data is kept" if retain else "ALL ITS DATA is removed with them"
        confirm_by_name(
            target.environment, consequence=f"This removes {len(found)} stacks in {_location(target)}; {data}."
        )
    cdk.write_names()
    if retain:
        disable_termination_protection(target, found)
    core = target.names.stack("core")
    if others := [name for name in found if name != core]:
        cdk.destroy(*others)
    if core in found:
        if not retain:
            remove_data(target)
        cdk.destroy(core)
    retained = list_retained(target) if retain else []
    lines = ["The stacks are removed.", *(f"kept   {one}" for one in retained)]
    show(target, {"removed": found, "kept": retained}, lines)


def _location(target: Target) -> str:
    return f"the account {target.names.account}, {target.names.region}"
