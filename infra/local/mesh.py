"""The local mesh as a whole: up, down and reset."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local import record, stripe_secret
from infra.local.clients import AwsClients, engine_clients
from infra.local.deployment import Deployment, fingerprint_of
from infra.local.engine import Engine, EngineStatus, State
from infra.local.errors import EngineDied
from infra.local.lock import exclusive_lock
from infra.local.paths import DEFAULT_PORT, Home, wanted_port
from infra.local.progress import ConsoleProgress
from infra.local.stripe_process import StripeProcess

OTHER_STRIPE = "AINEXUS_STRIPE_API_BASE"
"""The variable with the address of another Stripe than the local one, for example the real one in test mode."""


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """The engine of a home and its stacks."""

    home: Home
    environ: Mapping[str, str]
    progress: ConsoleProgress

    @property
    def engine(self) -> Engine:
        """The engine."""
        return Engine(self.home, self.environ)

    @property
    def stripe(self) -> StripeProcess:
        """The local Stripe."""
        return StripeProcess(self.home, self.environ)

    def port(self) -> int:
        """Return the port where the engine runs or would be started."""
        recorded = record.read(self.home.engine_record)
        return wanted_port(self.environ) or (recorded.port if recorded and recorded.is_running else DEFAULT_PORT)

    def clients(self) -> AwsClients:
        """Return clients of the running engine.

        Raises:
            EngineDied: it does not run.
        """
        status = self.engine.status()
        if status.state is State.RUNNING:
            return engine_clients(status.port)
        raise EngineDied(_explain_state(status, log=str(self.home.engine_log)))

    def up(self, *, force: bool = False) -> dict[str, str]:
        """Start the engine and deploy the stacks if needed, and return the outputs."""
        with exclusive_lock(self.home):
            started = self._start_engine()
            self._start_stripe()
            deployment = self._deployment()
            changed = deployment.bring_up(force=force)
            outputs = deployment.finish() if changed or started else deployment.outputs()
            self._connect_stripe(outputs)
            if changed or started:
                self.engine.snapshot()
            return outputs

    def is_current(self) -> bool:
        """Return whether the deployed stacks match the current sources."""
        return self._deployment().is_current()

    def down(self) -> bool:
        """Stop the engine with its state saved, and return whether it was running."""
        with exclusive_lock(self.home):
            self.stripe.stop()
            return self._stop_engine()

    def reset(self) -> None:
        """Stop the engine and delete all local data. Programs and built bundles stay."""
        with exclusive_lock(self.home):
            self.stripe.stop()
            self._stop_engine()
            home = self.home
            for folder in (home.engine_state, home.objects, home.scratch, home.assembly, home.stripe_state):
                shutil.rmtree(folder, ignore_errors=True)
            for note in (home.deployed, home.engine_record, home.variables):
                note.unlink(missing_ok=True)

    def _deployment(self) -> Deployment:
        local = self.stripe.endpoint
        base = local or self.environ[OTHER_STRIPE]
        return Deployment(
            stripe=local,
            stripe_api_base=base,
            home=self.home,
            port=self.engine.status().port,
            clients=self.clients(),
            environ=self.environ,
            progress=self.progress,
            fingerprint=fingerprint_of(self.home, stripe_api_base=base),
        )

    def _start_engine(self) -> bool:
        """Ensure that the engine runs at the wanted port and version; return False if it already did."""
        status, port = self.engine.status(), self.port()
        if status.state is State.RUNNING and status.port == port and status.version == self.home.engine_version:
            self.progress.note(f"the engine runs on port {port}")
            return False
        self._stop_unusable_engine(status)
        with self.progress.step(f"starting the engine on port {port}"):
            self.engine.start(port)
        return True

    def _start_stripe(self) -> None:
        """Ensure that the local Stripe runs, unless the mesh uses another one."""
        if self.environ.get(OTHER_STRIPE):
            self.stripe.stop()
            self.progress.note(f"the mesh speaks to the Stripe at {self.environ[OTHER_STRIPE]}")
        elif self.stripe.start(engine_port=self.engine.status().port):
            self.progress.note(f"the local Stripe runs: {self.stripe.endpoint}")

    def _connect_stripe(self, outputs: Mapping[str, str]) -> None:
        """Store the local Stripe's keys in the mesh, and set its webhook URL."""
        if self.stripe.endpoint is None:
            return
        if not stripe_secret.store_keys(self.clients().secrets, self.stripe.keys):
            self.progress.note(f"the secret holds the key of another Stripe; to use that: {OTHER_STRIPE}=… make up")
        self.stripe.set_webhook_url(f"{outputs['ApiEndpoint']}/v1/webhooks/stripe")

    def _stop_unusable_engine(self, status: EngineStatus) -> None:
        """End a process that runs with the wrong port or version, or does not respond."""
        if status.state is State.STOPPED:
            return
        if status.state is State.DIED:
            self.progress.note("the engine ended without being stopped; its last saved state is taken")
            self.engine.stop()
            return
        if status.state is State.RUNNING:
            self.progress.note(f"the engine runs on port {status.port} in version {status.version}; it is started anew")
        self._stop_engine()

    def _stop_engine(self) -> bool:
        with self.progress.step("stopping the engine"):
            return self.engine.stop()


def _explain_state(status: EngineStatus, *, log: str) -> str:
    if status.state is State.DIED:
        return f"The engine has died. Run `make up` to start it with its last saved state; see {log}"
    if status.state is State.UNRESPONSIVE:
        return f"The engine (process {status.pid}) does not answer. Run `make down`, then `make up`; see {log}"
    return "The local mesh is not up. Run `make up`."
