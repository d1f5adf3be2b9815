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
            deployment = self._deployment()
            changed = deployment.bring_up(force=force)
            if not (changed or started):
                return deployment.outputs()
            outputs = deployment.finish()
            self.engine.snapshot()
            return outputs

    def is_current(self) -> bool:
        """Whether what is deployed was made from the sources as they are now."""
        return self._deployment().is_current()

    def down(self) -> bool:
        """Stop the engine with its state saved; False when it did not run."""
        with only_one(self.home):
            return self._stop_engine()

    def reset(self) -> None:
        """Stop the engine and remove all local data; programs and built bundles stay."""
        with only_one(self.home):
            self._stop_engine()
            for folder in (self.home.engine_state, self.home.objects, self.home.scratch, self.home.assembly):
                shutil.rmtree(folder, ignore_errors=True)
            for note in (self.home.deployed, self.home.engine_record, self.home.variables):
                note.unlink(missing_ok=True)

    def _deployment(self) -> Deployment:
        return Deployment(
            home=self.home,
            port=self.engine.status().port,
            clients=self.clients(),
            environ=self.environ,
            progress=self.progress,
            fingerprint=fingerprint_of(self.home),
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
