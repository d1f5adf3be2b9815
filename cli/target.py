"""The environment that a command works on, and the options `--env` and `--json` of every command."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from cli.errors import CommandRefused
from infra.names import ENVIRONMENTS, REGION, Names

if TYPE_CHECKING:
    from infra.local.clients import AwsClients
    from infra.local.mesh import LocalMesh

P = ParamSpec("P")
R = TypeVar("R")

LOCAL = "local"


@dataclass
class Target:
    """An environment, with its AWS clients, names and stack outputs."""

    environment: str
    as_json: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def is_local(self) -> bool:
        """Whether this is the mesh on this machine."""
        return self.environment == LOCAL

    @cached_property
    def mesh(self) -> "LocalMesh":
        """The mesh on this machine."""
        from infra.local.mesh import LocalMesh  # it imports boto3
        from infra.local.paths import Home
        from infra.local.progress import ConsoleProgress

        return LocalMesh(Home.of(self.environ), self.environ, ConsoleProgress())

    @cached_property
    def clients(self) -> "AwsClients":
        """AWS clients of this environment.

        Raises:
            EngineDied: the local engine is not up.
        """
        if self.is_local:
            return self.mesh.clients()
        import boto3

        from infra.local.clients import AwsClients

        region = self.environ.get("AWS_REGION") or self.environ.get("AWS_DEFAULT_REGION") or REGION
        return AwsClients(boto3.Session(region_name=region))

    @cached_property
    def names(self) -> Names:
        """The fixed names of this environment."""
        from infra.local.environment import ACCOUNT

        account = ACCOUNT if self.is_local else self.clients.sts.get_caller_identity()["Account"]
        return Names(self.environment, account, self.clients.region)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of all stacks of this environment.

        Raises:
            CommandRefused: the API is not deployed.
        """
        from infra.local.environment import endpoint
        from infra.local.stacks import outputs_of, stacks_of

        engine = endpoint(self.mesh.engine.status().port) if self.is_local else None
        stripe = self.mesh.stripe.endpoint if self.is_local else None
        found = outputs_of(stacks_of(self.clients.cloudformation, self.environment), engine=engine, stripe=stripe)
        if "ApiEndpoint" not in found:
            raise CommandRefused(self.not_deployed)
        return found

    @property
    def not_deployed(self) -> str:
        """The message for a missing part of this environment."""
        command = "./ainexus up" if self.is_local else f"./ainexus deploy --env {self.environment}"
        return f"The environment {self.environment} is not deployed, or only in part. Run `{command}`."

    def require_local(self, command: str) -> None:
        """Refuse a command that works on this machine only.

        Raises:
            CommandRefused: this environment is on AWS.
        """
        if not self.is_local:
            msg = f"`{command}` works only on the mesh of this machine. Run it without --env."
            raise CommandRefused(msg)


def for_target(command: Callable[Concatenate[Target, P], R]) -> Callable[P, R]:
    """Add the options `--env` and `--json` to a command, and pass the target as its first argument."""

    @click.option(
        "--env",
        "environment",
        type=click.Choice(sorted(ENVIRONMENTS)),
        default=LOCAL,
        show_default=True,
        help="The environment to work on.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def with_target(*arguments: Any, environment: str, as_json: bool, **options: Any) -> R:  # noqa: ANN401 — click's own
        return command(Target(environment, as_json), *arguments, **options)  # pyright: ignore[reportCallIssue]

    return with_target  # pyright: ignore[reportReturnType] — the two options are click's alone
