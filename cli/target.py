"""The environment that a command is for, and the two options that every command has."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import boto3
import click

from cli.errors import Refused
from infra.local.clients import Clients
from infra.local.environment import ACCOUNT, endpoint
from infra.local.mesh import LocalMesh
from infra.local.paths import Home
from infra.local.progress import Progress
from infra.local.stacks import outputs_of, stacks_of
from infra.names import REGION, Names
from infra.profile import PROFILES

P = ParamSpec("P")
R = TypeVar("R")

LOCAL = "local"


@dataclass
class Target:
    """One environment and the way to it."""

    environment: str
    as_json: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def is_local(self) -> bool:
        """Whether it is the mesh of this machine."""
        return self.environment == LOCAL

    @cached_property
    def mesh(self) -> LocalMesh:
        """The mesh of this machine."""
        return LocalMesh(Home.of(self.environ), self.environ, Progress())

    @cached_property
    def clients(self) -> Clients:
        """AWS clients of this environment.

        Raises:
            EngineDied: the local engine is not up.
        """
        if not self.is_local:
            region = self.environ.get("AWS_REGION") or self.environ.get("AWS_DEFAULT_REGION") or REGION
            return Clients(boto3.Session(region_name=region))
        return self.mesh.clients()

    @cached_property
    def names(self) -> Names:
        """The fixed names of this environment."""
        account = ACCOUNT if self.is_local else self.clients.sts.get_caller_identity()["Account"]
        return Names(self.environment, account, self.clients.region)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """All outputs of its stacks.

        Raises:
            Refused: nothing is deployed.
        """
        engine = endpoint(self.mesh.engine.status().port) if self.is_local else None
        stripe = self.mesh.stripe.endpoint if self.is_local else None
        found = outputs_of(stacks_of(self.clients.cloudformation, self.environment), engine=engine, stripe=stripe)
        if "ApiEndpoint" not in found:
            raise Refused(self.not_deployed)
        return found

    @property
    def not_deployed(self) -> str:
        """What to say when a part of it is missing."""
        how = "./ainexus up" if self.is_local else f"./ainexus deploy --env {self.environment}"
        return f"The environment {self.environment} is not deployed (completely). Run `{how}`."

    def refuse_unless_local(self, command: str) -> None:
        """Stop a command that is only for this machine."""
        if not self.is_local:
            msg = f"`{command}` is for the mesh of this machine alone, and takes no --env but {LOCAL}."
            raise Refused(msg)


def for_target(command: Callable[Concatenate[Target, P], R]) -> Callable[P, R]:
    """Give a command the options `--env` and `--json`, and the target that they name as its first argument."""

    @click.option("--env", "environment", type=click.Choice(sorted(PROFILES)), default=LOCAL, show_default=True)
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @wraps(command)
    def with_target(*arguments: Any, environment: str, as_json: bool, **options: Any) -> R:  # noqa: ANN401 — click's own
        return command(Target(environment, as_json), *arguments, **options)  # pyright: ignore[reportCallIssue]

    return with_target  # pyright: ignore[reportReturnType] — the two options are click's alone
