"""Brings the stacks of this checkout up on the engine, and only when something has changed."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local import tables, variables
from infra.local.cdk import LocalCdk
from infra.local.clients import Clients
from infra.local.environment import endpoint
from infra.local.errors import DeploymentFailed
from infra.local.fingerprint import fingerprint
from infra.local.interpreter import version_of
from infra.local.paths import Home
from infra.local.progress import Progress
from infra.local.stacks import Stack, has_stack, outputs_of, settled_stacks, stacks_of
from infra.local.warmth import functions_of, warm

LOCAL = "local"
_BOOTSTRAP = "CDKToolkit"
_ANSWER_PATIENCE_S = 60
_RESET = "Run `./ainexus reset` to begin anew; it removes all local data."


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stacks of one home on its engine."""

    home: Home
    port: int
    clients: Clients
    environ: Mapping[str, str]
    progress: Progress
    stripe: str | None
    """Where the local Stripe answers; None: it does not run."""
    stripe_api_base: str
    """The Stripe that the functions speak to."""
    fingerprint: str
    """Of the sources as they are when the deployment begins; what is changed later is deployed the next time."""

    def bring_up(self, *, force: bool = False) -> bool:
        """Deploy what has changed; False when nothing had.

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
        tables.switch_expiry_on(self.clients.dynamodb)
        return True

    def finish(self) -> dict[str, str]:
        """Start every function once, wait for the API, and write `.env.local`; gives back the outputs."""
        with self.progress.step("starting the functions"):
            warm(self.clients.functions, LOCAL)
        outputs = self.outputs()
        wait_for_answer(f"{outputs['ApiEndpoint']}/v1/health")
        names = functions_of(self.clients.functions, LOCAL)
        found = variables.variables_of(self.clients.functions, names)
        variables.write(self.home.variables, variables=found, outputs=outputs)
        self._note()  # only now: what is interrupted before is done again
        return outputs

    def outputs(self) -> dict[str, str]:
        """All outputs of the stacks."""
        found = stacks_of(self.clients.cloudformation, LOCAL)
        return outputs_of(found, engine=endpoint(self.port), stripe=self.stripe)

    def is_current(self) -> bool:
        """Whether what is there was made from these sources.

        What was noted can be ahead of what is there, when the engine was ended by force.
        """
        noted = _Deployed.read(self.home.deployed)
        there = {stack.name for stack in stacks_of(self.clients.cloudformation, LOCAL) if stack.is_complete}
        return noted is not None and noted.fingerprint == self.fingerprint and set(noted.stacks) <= there

    def _note(self) -> None:
        there = [stack.name for stack in stacks_of(self.clients.cloudformation, LOCAL)]
        _Deployed(self.fingerprint, there).write(self.home.deployed)

    def _refuse_broken(self) -> None:
        broken = [stack for stack in settled_stacks(self.clients.cloudformation, LOCAL) if stack.is_broken]
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
            found = settled_stacks(self.clients.cloudformation, LOCAL)
            bad = [stack for stack in found if stack.is_broken or stack.went_back]
            if not bad:
                raise
            hint = f"Mend the cause and run `./ainexus up` again. {_RESET}"
            msg = f"{error}\n\nNot there or taken back: {_listed(bad)}.\n{hint}"
            raise DeploymentFailed(msg) from error

    def _cdk(self) -> LocalCdk:
        return LocalCdk(self.home, self.environ, self.port, self.stripe_api_base)


def fingerprint_of(home: Home, *, stripe_api_base: str) -> str:
    """Of all that a deployment from this home is made from."""
    also = (str(version_of(home.engine_python)), home.engine_version, stripe_api_base)
    return fingerprint(home.root, also=also)


def wait_for_answer(url: str, *, patience_s: float = _ANSWER_PATIENCE_S) -> None:
    """Wait until a GET is answered with 200.

    Raises:
        DeploymentFailed: it is not, in time.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience_s
    said = "no answer"
    while time.monotonic() < until:
        try:
            with direct.open(url, timeout=30):
                return
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read().decode(errors='replace')[:300]}"
        except OSError as error:
            said = str(error)
        time.sleep(0.2)
    msg = f"The stacks are there, but {url} does not answer well after {patience_s:.0f} s: {said}"
    raise DeploymentFailed(msg)


@dataclass(frozen=True, slots=True)
class _Deployed:
    """What was deployed last."""

    fingerprint: str
    stacks: list[str]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "_Deployed | None":
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def _listed(stacks: list[Stack]) -> str:
    return ", ".join(f"{stack.name} ({stack.status})" for stack in stacks)
