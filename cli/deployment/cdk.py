"""The CDK command line, run for an environment."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli.errors import CommandRefused
from cli.target import Target
from infra import tools
from infra.local.cdk import UNCHECKED, context_of
from infra.local.environment import for_aws_clients
from infra.local.paths import ROOT
from infra.names import REGION

RunCdk = Callable[[Sequence[str], Path, Mapping[str, str], bool], int]
"""Runs `cdk` with arguments, a folder, an environment and whether it may use standard output; returns the exit code."""

_QUIET = {"CDK_DISABLE_CLI_TELEMETRY": "true", "NODE_NO_WARNINGS": "1"}


def run_cdk(arguments: Sequence[str], folder: Path, environ: Mapping[str, str], to_stdout: bool) -> int:  # noqa: FBT001 — the signature of `RunCdk`
    """Run the pinned CDK command line; unless `to_stdout`, its standard output goes to standard error."""
    sys.stdout.flush()
    command = [*tools.cdk_command(), *arguments]
    output = None if to_stdout else sys.stderr
    return subprocess.run(command, cwd=folder, env=dict(environ), stdout=output, check=False).returncode  # noqa: S603 — the pinned CDK command line


class CdkFailed(CommandRefused):
    """The CDK failed, and has printed the reason."""


@dataclass(frozen=True, slots=True)
class Cdk:
    """The CDK operations on the stacks of one environment."""

    target: Target
    run: RunCdk = run_cdk

    def bootstrap(self) -> None:
        """Create the stack that deployments to an account and region need."""
        # In a folder without cdk.json, because the CDK would synthesize the application it names.
        location = f"aws://{self.target.names.account}/{self.target.names.region}"
        self._run("bootstrap", location, folder=ROOT / ".ainexus")

    def synth(self, account: str) -> None:
        """Write the templates with all validation; a warning is an error."""
        self._run("synth", "--quiet", "--strict", *self._context(account, REGION), *self._output())

    def diff(self, *, to_stdout: bool = True) -> None:
        """Show the changes of a deployment, and keep them for `deploy_shown`."""
        self._run("diff", "--strict", *self._own_context(), *self._output(), to_stdout=to_stdout)

    def deploy_shown(self) -> None:
        """Deploy exactly the changes that `diff` has shown."""
        # The changes were shown by `diff` and confirmed before.
        options = ("--require-approval", "never", "--progress", "events")
        self._run("deploy", "--all", *options, *self._assembly(), to_stdout=False)

    def write_names(self) -> None:
        """Write templates that name the stacks, without the bundles of the functions."""
        context = (*self._own_context(), "--context", "bundle=source")
        self._run("synth", "--quiet", *context, *self._output(), to_stdout=False, extra_environ=UNCHECKED)

    def destroy(self, *stacks: str) -> None:
        """Remove stacks in the order of their dependencies."""
        self._run("destroy", *stacks, "--exclusively", "--force", *self._assembly(), to_stdout=False)

    @property
    def _folder(self) -> str:
        """One folder for each environment, so that two can be deployed at once."""
        return f".ainexus/cdk.out.{self.target.environment}"

    def _output(self) -> tuple[str, ...]:
        return ("--output", self._folder)

    def _assembly(self) -> tuple[str, ...]:
        return ("--app", self._folder)

    def _own_context(self) -> Sequence[str]:
        return self._context(self.target.names.account, self.target.names.region)

    def _context(self, account: str, region: str) -> Sequence[str]:
        return context_of(self.target.environment, account, region)

    def _run(
        self,
        *arguments: str,
        folder: Path = ROOT,
        to_stdout: bool = True,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        command = [*arguments, "--no-notices"]
        click.echo(f"$ cdk {shlex.join(command)}", err=True)
        folder.mkdir(parents=True, exist_ok=True)
        environ = {**self._environ(), **_QUIET, **(extra_environ or {})}
        code = self.run(command, folder, environ, to_stdout and not self.target.as_json)
        if code:
            msg = f"`cdk {arguments[0]}` ended with {code}. Its output above has the reason; no further step was run."
            raise CdkFailed(msg)

    def _environ(self) -> Mapping[str, str]:
        environ = tools.node_environment()
        return for_aws_clients(environ, port=self.target.mesh.port()) if self.target.is_local else environ
