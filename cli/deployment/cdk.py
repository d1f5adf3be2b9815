"""The CDK's own command line, for an environment."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli.errors import Refused
from cli.target import Target
from infra import tools
from infra.local.cdk import UNCHECKED, context_of
from infra.local.environment import for_aws_clients
from infra.local.paths import ROOT
from infra.names import REGION

Run = Callable[[Sequence[str], Path, Mapping[str, str], bool], int]
"""Arguments of `cdk`, its folder and environment, and whether its standard output is ours; gives back the exit code."""

_QUIET = {"CDK_DISABLE_CLI_TELEMETRY": "true", "NODE_NO_WARNINGS": "1"}


def run(arguments: Sequence[str], folder: Path, environ: Mapping[str, str], speaks: bool) -> int:  # noqa: FBT001 — as `Run` has it
    """Run the pinned CDK command line; what it says goes to standard error, unless it `speaks` for us."""
    sys.stdout.flush()
    command = [*tools.cdk_command(), *arguments]
    output = None if speaks else sys.stderr
    return subprocess.run(command, cwd=folder, env=dict(environ), stdout=output, check=False).returncode  # noqa: S603 — the pinned CDK command line


class CdkFailed(Refused):
    """The CDK has said why; this says only that nothing more is done."""


@dataclass(frozen=True, slots=True)
class Cdk:
    """The stacks of one environment, by the CDK."""

    target: Target
    run: Run = run

    def bootstrap(self) -> None:
        """Make what every deployment to an account and region needs."""
        # Away from cdk.json, or the whole application would be synthesized for it.
        where = f"aws://{self.target.names.account}/{self.target.names.region}"
        self._do("bootstrap", where, folder=ROOT / ".ainexus")

    def synth(self, account: str) -> None:
        """Write the templates; all checks are made, and a warning is an error."""
        self._do("synth", "--quiet", "--strict", *self._context(account, REGION), *self._output())

    def diff(self, *, speaks: bool = True) -> None:
        """Show what a deployment would change; what is shown is kept, for `deploy_shown`."""
        self._do("diff", "--strict", *self._own_context(), *self._output(), speaks=speaks)

    def deploy_shown(self) -> None:
        """Deploy what `diff` has shown, and nothing else."""
        # What would be approved has been shown by `diff`, and was confirmed.
        options = ("--require-approval", "never", "--progress", "events")
        self._do("deploy", "--all", *options, *self._assembly(), speaks=False)

    def write_names(self) -> None:
        """Write templates that say which stacks there are, without what makes them large."""
        context = (*self._own_context(), "--context", "bundle=source")
        self._do("synth", "--quiet", *context, *self._output(), speaks=False, also=UNCHECKED)

    def destroy(self, *stacks: str) -> None:
        """Remove these stacks, in the order in which they depend on each other."""
        self._do("destroy", *stacks, "--exclusively", "--force", *self._assembly(), speaks=False)

    @property
    def _folder(self) -> str:
        """Each environment has its own, so that two can be worked on at once."""
        return f".ainexus/cdk.out.{self.target.environment}"

    def _output(self) -> tuple[str, ...]:
        return ("--output", self._folder)

    def _assembly(self) -> tuple[str, ...]:
        return ("--app", self._folder)

    def _own_context(self) -> Sequence[str]:
        return self._context(self.target.names.account, self.target.names.region)

    def _context(self, account: str, region: str) -> Sequence[str]:
        return context_of(self.target.environment, account, region)

    def _do(
        self, *arguments: str, folder: Path = ROOT, speaks: bool = True, also: Mapping[str, str] | None = None
    ) -> None:
        command = [*arguments, "--no-notices"]
        click.echo(f"$ cdk {shlex.join(command)}", err=True)
        folder.mkdir(parents=True, exist_ok=True)
        environ = {**self._environ(), **_QUIET, **(also or {})}
        code = self.run(command, folder, environ, speaks and not self.target.as_json)
        if code:
            msg = f"`cdk {arguments[0]}` ended with {code}; above it says why. Nothing more was done."
            raise CdkFailed(msg)

    def _environ(self) -> Mapping[str, str]:
        environ = tools.node_environment()
        return for_aws_clients(environ, port=self.target.mesh.port()) if self.target.is_local else environ
