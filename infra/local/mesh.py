"""The local mesh as a whole: up, down, reset."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local import record
from infra.local.clients import Clients, engine_clients
from infra.local.deployment import Deployment, fingerprint_of
from infra.local.engine import Engine, State, Status
from infra.local.errors import EngineDied
from infra.local.lock import only_one
from infra.local.paths import DEFAULT_PORT, Home, wanted_port
from infra.local.progress import Progress
from infra.local.stripe import secret
from infra.local.stripe.process import StripeProcess

OTHER_STRIPE = "AINEXUS_STRIPE_API_BASE"
"""Names a Stripe that the mesh speaks to instead of the local one, for example the real one in test mode."""


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """The engine of a home with the stacks on it."""

    home: Home
    environ: Mapping[str, str]
    progress: Progress

    @property
    def engine(self) -> Engine:
        """The engine."""
        return Engine(self.home, self.environ)

    @property
    def stripe(self) -> StripeProcess:
        """The local Stripe."""
        return StripeProcess(self.home, self.environ)

    def port(self) -> int:
        """Where it is, or would be started."""
        noted = record.read(self.home.engine_record)
        return wanted_port(self.environ) or (noted.port if noted and noted.is_running else DEFAULT_PORT)

    def clients(self) -> Clients:
        """Clients of the running engine.

        Raises:
            EngineDied: it does not run.
        """
        status = self.engine.status()
        if status.state is State.RUNNING:
            return engine_clients(status.port)
        raise EngineDied(_not_up(status, log=str(self.home.engine_log)))

    def up(self, *, force: bool = False) -> dict[str, str]:
        """Start the engine and deploy, as far as that is needed; gives back the outputs."""
        with only_one(self.home):
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
        """Whether what is deployed was made from the sources as they are now."""
        return self._deployment().is_current()

    def down(self) -> bool:
        """Stop the engine with its state saved; False when it did not run."""
        with only_one(self.home):
            self.stripe.stop()
            return self._stop_engine()

    def reset(self) -> None:
        """Stop the engine and remove all local data; programs and built bundles stay."""
        with only_one(self.home):
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
        """Make sure that it runs, at the wanted port and version; False when it did already."""
        status, port = self.engine.status(), self.port()
        if status.state is State.RUNNING and status.port == port and status.version == self.home.engine_version:
            self.progress.note(f"the engine runs on port {port}")
            return False
        self._clear_away(status)
        with self.progress.step(f"starting the engine on port {port}"):
            self.engine.start(port)
        return True

    def _start_stripe(self) -> None:
        """Make sure that the local Stripe runs, unless the mesh is to speak to another one."""
        if self.environ.get(OTHER_STRIPE):
            self.stripe.stop()
            self.progress.note(f"the mesh speaks to the Stripe at {self.environ[OTHER_STRIPE]}")
        elif self.stripe.start(engine_port=self.engine.status().port):
            self.progress.note(f"the local Stripe runs: {self.stripe.endpoint}")

    def _connect_stripe(self, outputs: Mapping[str, str]) -> None:
        """Give the mesh the keys of the local Stripe, and the local Stripe the way to the mesh."""
        if self.stripe.endpoint is None:
            return
        if not secret.give(self.clients().secrets, self.stripe.keys):
            self.progress.note(f"the secret holds the key of another Stripe; to use that: {OTHER_STRIPE}=… make up")
        self.stripe.point_to(f"{outputs['ApiEndpoint']}/v1/webhooks/stripe")

    def _clear_away(self, status: Status) -> None:
        """End what is there and not as it should be."""
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


def _not_up(status: Status, *, log: str) -> str:
    if status.state is State.DIED:
        return f"The engine has died. Run `make up` to start it with its last saved state; see {log}"
    if status.state is State.SILENT:
        return f"The engine (process {status.pid}) does not answer. Run `make down`, then `make up`; see {log}"
    return "The local mesh is not up. Run `make up`."
