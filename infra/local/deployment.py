"""Deployment of this checkout's stacks to the engine, only after a change."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local import tables, variables
from infra.local.cdk import LocalCdk
from infra.local.clients import AwsClients
from infra.local.environment import endpoint
from infra.local.errors import DeploymentFailed
from infra.local.fingerprint import fingerprint
from infra.local.interpreter import version_of
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress
from infra.local.stacks import Stack, has_stack, outputs_of, stacks_of, wait_for_stacks
from infra.local.warmth import functions_of, warm

LOCAL = "local"
_BOOTSTRAP = "CDKToolkit"
_RESPONSE_TIMEOUT_S = 60
_RESET = "Run `./ainexus reset` to begin anew; it removes all local data."


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment of one home."""

    home: Home
    port: int
    clients: AwsClients
    environ: Mapping[str, str]
    progress: ConsoleProgress
    stripe: str | None
    """The address of the local Stripe; None if it does not run."""
    stripe_api_base: str
    """The address of the Stripe that the functions use."""
    fingerprint: str
    """The fingerprint of the sources when the deployment begins. Later changes are deployed the next time."""

    def bring_up(self, *, force: bool = False) -> bool:
        """Deploy the stacks if something has changed, and return whether it has.

        Raises:
            DeploymentFailed: a stack could not be brought up.
        """
        if not force and self.is_current():
            self.progress.note("the stacks are as they should be")
            return False
        self._refuse_broken()
        self._bootstrap()
        with self.progress.step("deploying the stacks (the first time about a minute)"):
            self._deploy()
        tables.enable_expiry(self.clients.dynamodb)
        return True

    def finish(self) -> dict[str, str]:
        """Start every function once, wait for the API, write `.env.local`, and return the outputs."""
        with self.progress.step("starting the functions"):
            warm(self.clients.functions, LOCAL)
        outputs = self.outputs()
        wait_for_response(f"{outputs['ApiEndpoint']}/v1/health")
        names = functions_of(self.clients.functions, LOCAL)
        found = variables.variables_of(self.clients.functions, names)
        variables.write(self.home.variables, variables=found, outputs=outputs)
        self._write_record()  # last: an interrupted deployment is repeated
        return outputs

    def outputs(self) -> dict[str, str]:
        """Return all outputs of the stacks."""
        found = stacks_of(self.clients.cloudformation, LOCAL)
        return outputs_of(found, engine=endpoint(self.port), stripe=self.stripe)

    def is_current(self) -> bool:
        """Return whether the deployed stacks were made from these sources.

        After a kill of the engine, the record can be ahead of the stacks.
        """
        recorded = _DeploymentRecord.read(self.home.deployed)
        stack_names = {stack.name for stack in stacks_of(self.clients.cloudformation, LOCAL) if stack.is_complete}
        return recorded is not None and recorded.fingerprint == self.fingerprint and set(recorded.stacks) <= stack_names

    def _write_record(self) -> None:
        stack_names = [stack.name for stack in stacks_of(self.clients.cloudformation, LOCAL)]
        _DeploymentRecord(self.fingerprint, stack_names).write(self.home.deployed)

    def _refuse_broken(self) -> None:
        broken = [stack for stack in wait_for_stacks(self.clients.cloudformation, LOCAL) if stack.is_broken]
        if broken:
            msg = f"An earlier deployment left something half done: {_listed(broken)}.\n{_RESET}"
            raise DeploymentFailed(msg)

    def _bootstrap(self) -> None:
        if has_stack(self.clients.cloudformation, _BOOTSTRAP):
            return
        with self.progress.step("preparing the engine for deployments (once)"):
            self._cdk().bootstrap()

    def _deploy(self) -> None:
        self.home.deployed.unlink(missing_ok=True)
        try:
            self._cdk().deploy(self.progress)
        except DeploymentFailed as error:
            found = wait_for_stacks(self.clients.cloudformation, LOCAL)
            bad = [stack for stack in found if stack.is_broken or stack.is_rolled_back]
            if not bad:
                raise
            hint = f"Mend the cause and run `./ainexus up` again. {_RESET}"
            msg = f"{error}\n\nNot there or taken back: {_listed(bad)}.\n{hint}"
            raise DeploymentFailed(msg) from error

    def _cdk(self) -> LocalCdk:
        return LocalCdk(self.home, self.environ, self.port, self.stripe_api_base)


def fingerprint_of(home: Home, *, stripe_api_base: str) -> str:
    """Return the fingerprint of everything that affects a deployment from this home."""
    also = (str(version_of(home.engine_python)), home.engine_version, stripe_api_base)
    return fingerprint(home.root, also=also)


def wait_for_response(url: str, *, timeout_s: float = _RESPONSE_TIMEOUT_S) -> None:
    """Wait until a GET returns 200.

    Raises:
        DeploymentFailed: it is not, in time.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + timeout_s
    problem = "no answer"
    while time.monotonic() < until:
        try:
            with direct.open(url, timeout=30):
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read().decode(errors='replace')[:300]}"
        except OSError as error:
            problem = str(error)
        time.sleep(0.2)
    msg = f"The stacks are there, but {url} does not answer well after {timeout_s:.0f} s: {problem}"
    raise DeploymentFailed(msg)


@dataclass(frozen=True, slots=True)
class _DeploymentRecord:
    """The record of the last deployment."""

    fingerprint: str
    stacks: list[str]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "_DeploymentRecord | None":
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def _listed(stacks: list[Stack]) -> str:
    return ", ".join(f"{stack.name} ({stack.status})" for stack in stacks)
