"""Preconditions for changes in an AWS account."""

import json

from cli.errors import CommandRefused
from cli.target import Target
from infra.local.paths import ROOT
from infra.local.stacks import has_stack
from infra.settings import CONTEXT, InvalidSettings, Settings, settings_of

BOOTSTRAP_STACK = "CDKToolkit"


def read_settings(environment: str) -> Settings:
    """Return the settings of an environment in cdk.json.

    Raises:
        CommandRefused: the settings are invalid.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    try:
        return settings_of(environment, context.get(CONTEXT))
    except InvalidSettings as error:
        raise CommandRefused(str(error)) from error


def check_account(target: Target, settings: Settings) -> None:
    """Check that the credentials are for the account in the environment's settings.

    Raises:
        CommandRefused: they are for another account.
    """
    found = target.names.account
    if settings.account not in {None, found}:
        msg = (
            f"The credentials are for the account {found}, but {target.environment} belongs to {settings.account} "
            f"(cdk.json, context {CONTEXT}.{target.environment}.account). Check AWS_PROFILE."
        )
        raise CommandRefused(msg)


def check_bootstrapped(target: Target) -> None:
    """Check that the account and region are prepared for deployments.

    Raises:
        CommandRefused: the bootstrap stack is missing.
    """
    if not has_stack(target.clients.cloudformation, BOOTSTRAP_STACK):
        location = f"The account {target.names.account} in {target.names.region}"
        msg = f"{location} is not prepared for deployments. Run once: make bootstrap ENV={target.environment}"
        raise CommandRefused(msg)
