"""The CDK command line, with its progress shown."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from infra import tools
from infra.local.engine import last_lines
from infra.local.environment import ACCOUNT, REGION, for_aws_clients
from infra.local.errors import DeploymentFailed
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress

_MAX_ERROR_LINES = 25
_STACK_STARTED = re.compile(r"^(?P<stack>AILab[\w-]+): deploying\.\.\.")
_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_QUIET = {"CDK_DISABLE_CLI_TELEMETRY": "true", "NO_COLOR": "1", "NODE_NO_WARNINGS": "1"}
UNCHECKED = {"CDK_VALIDATION": "false"}
"""Synthesize without the CDK's checks and the security review, which take most of its time."""
_FAST = {**UNCHECKED, "JSII_RUNTIME_PACKAGE_CACHE": "enabled", "UV_SYSTEM_CERTS": "true"}


@dataclass(frozen=True, slots=True)
class LocalCdk:
    """The CDK command line, connected to the engine."""

    home: Home
    environ: Mapping[str, str]
    port: int
    stripe_api_base: str
    """The address of the Stripe that the functions use."""

    def bootstrap(self) -> None:
        """Create the resources that every deployment needs: a bucket for bundles, and roles."""
        # In another folder than cdk.json, or the whole application would be synthesized.
        self._run(["bootstrap", f"aws://{ACCOUNT}/{REGION}"], folder=self.home.state, progress=None)

    def deploy(self, progress: ConsoleProgress) -> None:
        """Synthesize and deploy all stacks.

        Raises:
            DeploymentFailed: with the end of the log.
        """
        output = ["--output", str(self.home.assembly)]
        options = ["--all", "--require-approval", "never", "--progress", "events"]
        context = [*context_of("local", ACCOUNT, REGION), "--context", f"stripe_api_base={self.stripe_api_base}"]
        self._run(["deploy", *options, *output, *context], folder=self.home.root, progress=progress)

    def _run(self, arguments: Sequence[str], *, folder: Path, progress: ConsoleProgress | None) -> None:
        command = [*tools.cdk_command(), *arguments, "--no-notices", "--no-color"]
        running = subprocess.Popen(  # noqa: S603 — the pinned CDK command line
            command,
            cwd=folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        with self.home.cdk_log.open("w") as log, running:
            code = _follow(running, log=log, progress=progress)
        if code:
            raise DeploymentFailed(self._explain(arguments[0]))

    def _environ(self) -> dict[str, str]:
        path = tools.node_environment()["PATH"]
        return for_aws_clients(self.environ, port=self.port) | {**_QUIET, **_FAST, "PATH": path}

    def _explain(self, verb: str) -> str:
        end = last_lines(self.home.cdk_log, _MAX_ERROR_LINES)
        return f"`cdk {verb}` failed. The end of {self.home.cdk_log}:\n\n{end}"


def context_of(environment: str, account: str, region: str) -> list[str]:
    """Return the context that the application is synthesized with."""
    pairs = {"environment": environment, "account": account, "region": region}
    return [part for name, value in pairs.items() for part in ("--context", f"{name}={value}")]


def _follow(running: "subprocess.Popen[str]", *, log: TextIO, progress: ConsoleProgress | None) -> int:
    """Write the output to the log, show its important lines, and return the exit code.

    Ctrl-C reaches the command as well. It is awaited, so that it does not continue in the background.
    """
    assert running.stdout is not None  # noqa: S101 — asked for with PIPE
    try:
        for line in running.stdout:
            plain = _COLOR.sub("", line)
            log.write(plain)
            log.flush()
            if progress and (news := started_stack_in(plain)):
                progress.note(news)
        return running.wait()
    except KeyboardInterrupt:
        running.wait()
        raise


def started_stack_in(line: str) -> str | None:
    """Return the progress that a line of the log reports, if any."""
    found = _STACK_STARTED.match(line)
    return f"{found['stack']} …" if found else None
