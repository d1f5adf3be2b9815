"""The engine: start, stop and status. It ends only processes that it started."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from infra.local import health, process, record
from infra.local.environment import for_engine
from infra.local.errors import EngineDied, NotInstalled, PortTaken
from infra.local.paths import DEFAULT_PORT, Home
from infra.local.record import EngineRecord

_LAUNCHER = Path(__file__).with_name("launcher.py")
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 30
_MAX_LOG_BYTES = 50_000_000


class State(StrEnum):
    """The state of the engine."""

    STOPPED = "stopped"
    RUNNING = "running"
    DIED = "died"
    """It was started, and its process ended without a stop."""
    UNRESPONSIVE = "silent"
    """Its process runs, but does not respond."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The state of the engine and its port."""

    state: State
    port: int
    version: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of one home."""

    home: Home
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    launcher: Path = _LAUNCHER

    def status(self) -> EngineStatus:
        """Determine the status from the record and the health check."""
        recorded = record.read(self.home.engine_record)
        if recorded is None:
            return EngineStatus(State.STOPPED, DEFAULT_PORT)
        if not recorded.is_running:
            return EngineStatus(State.DIED, recorded.port, recorded.version)
        state = State.RUNNING if _responds(recorded) else State.UNRESPONSIVE
        return EngineStatus(state, recorded.port, recorded.version, recorded.pid)

    def start(self, port: int) -> EngineStatus:
        """Start the engine and wait until it responds.

        Raises:
            NotInstalled: its environment is missing.
            PortTaken: another program listens there.
            EngineDied: it ended, or does not answer in time.
        """
        if not self.home.engine_python.exists():
            msg = "The engine is not installed. Run `make setup`."
            raise NotInstalled(msg)
        if not health.is_free(port):
            raise PortTaken(_port_taken(port))
        recorded = self._launch(port)
        self._wait(recorded)
        return self.status()

    def stop(self) -> bool:
        """Stop the engine with its state saved, and return whether it was running.

        Raises:
            EngineDied: it does not end; its state since the last clean stop may be lost with it.
        """
        recorded = record.read(self.home.engine_record)
        if recorded is None:
            return False
        was_running = recorded.is_running
        if not process.end(recorded.pid, mark=recorded.started, timeout_s=_STOP_TIMEOUT_S):
            process.end_now(recorded.pid, mark=recorded.started)
            self._remove_record()
            lost = "what it did since its last stop may be lost"
            msg = f"The engine did not stop within {_STOP_TIMEOUT_S} s and was ended; {lost}."
            raise EngineDied(msg)
        self._remove_record()
        return was_running

    def snapshot(self) -> None:
        """Request that the engine saves its state now, in case it is not stopped cleanly."""
        recorded = record.read(self.home.engine_record)
        if recorded and recorded.is_running:
            process.request_save(recorded.pid)

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the engine's log."""
        return last_lines(self.home.engine_log, count)

    def _launch(self, port: int) -> EngineRecord:
        self.home.state.mkdir(parents=True, exist_ok=True)
        self._rotate_log()
        mark = record.new_mark()
        with self.home.engine_log.open("ab") as log:
            started = subprocess.Popen(  # noqa: S603 — our own interpreter and launcher
                # -P: the launcher's folder must not be searched for modules.
                [str(self.home.engine_python), "-P", str(self.launcher)],
                cwd=self.home.state,
                env=for_engine(self.environ, home=self.home, port=port, mark=mark),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, not for the engine
            )
        started.returncode = 0  # it outlives this command; otherwise the object would warn of that
        recorded = EngineRecord(
            pid=started.pid,
            started=process.start_mark(started.pid) or "",
            port=port,
            version=self.home.engine_version,
            mark=mark,
        )
        recorded.write(self.home.engine_record)
        return recorded

    def _wait(self, recorded: EngineRecord) -> None:
        until = time.monotonic() + _START_TIMEOUT_S
        while not _responds(recorded):
            if not recorded.is_running:
                self._remove_record()
                msg = f"The engine ended while it started. The end of {self.home.engine_log}:\n{self.last_lines()}"
                raise EngineDied(msg)
            if time.monotonic() > until:
                msg = f"The engine does not answer after {_START_TIMEOUT_S} s. See {self.home.engine_log}"
                raise EngineDied(msg)
            time.sleep(0.05)

    def _rotate_log(self) -> None:
        log = self.home.engine_log
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))

    def _remove_record(self) -> None:
        self.home.engine_record.unlink(missing_ok=True)


def last_lines(path: Path, count: int) -> str:
    """Return the end of a log, or an empty text if it does not exist."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])


def _responds(recorded: EngineRecord) -> bool:
    found = health.fetch_health(recorded.port)
    return found is not None and found.mark == recorded.mark


def _port_taken(port: int) -> str:
    who = "the engine of another checkout" if health.fetch_health(port) else "another program"
    return f"Port {port} is taken by {who}. Choose another one: AINEXUS_PORT={port + 10} make up"
