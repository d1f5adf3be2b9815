"""What must be so before anything in an AWS account is changed."""

import json

from cli.errors import Refused
from cli.target import Target
from infra.local.paths import ROOT
from infra.local.stacks import has_stack
from infra.settings import CONTEXT, InvalidSettings, Settings, settings_of

BOOTSTRAP = "CDKToolkit"


def said_of(environment: str) -> Settings:
    """What cdk.json says of an environment.

    Raises:
        Refused: it cannot be read.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    try:
        return settings_of(environment, context.get(CONTEXT))
    except InvalidSettings as error:
        raise Refused(str(error)) from error


def check_account(target: Target, settings: Settings) -> None:
    """The credentials are there, and for the account that the environment is to be in.

    Raises:
        Refused: they are for another one.
    """
    found = target.names.account
    if settings.account not in {None, found}:
        msg = (
            f"The credentials are for the account {found}; {target.environment} is to be in {settings.account} "
            f"(cdk.json, context {CONTEXT}.{target.environment}.account). Check AWS_PROFILE."
        )
        raise Refused(msg)


def check_bootstrapped(target: Target) -> None:
    """The account and region have been prepared.

    Raises:
        Refused: they have not.
    """
    if not has_stack(target.clients.cloudformation, BOOTSTRAP):
        where = f"The account {target.names.account} in {target.names.region}"
        msg = f"{where} is not prepared for deployments. Once: make bootstrap ENV={target.environment}"
        raise Refused(msg)
