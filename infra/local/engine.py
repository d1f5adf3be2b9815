"""The engine: start it, stop it, know how it is. Ends only what it has started."""

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
_START_PATIENCE_S = 60
_STOP_PATIENCE_S = 30
_LOG_KEPT_BYTES = 50_000_000


class State(StrEnum):
    """How the engine is."""

    STOPPED = "stopped"
    RUNNING = "running"
    DIED = "died"
    """It was started, and is gone without having been stopped."""
    SILENT = "silent"
    """Its process runs and does not answer."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the engine is, and where."""

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

    def status(self) -> Status:
        """How it is, by its note and its answer."""
        noted = record.read(self.home.engine_record)
        if noted is None:
            return Status(State.STOPPED, DEFAULT_PORT)
        if not noted.is_running:
            return Status(State.DIED, noted.port, noted.version)
        state = State.RUNNING if _answers(noted) else State.SILENT
        return Status(state, noted.port, noted.version, noted.pid)

    def start(self, port: int) -> Status:
        """Start it and wait until it answers.

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
        noted = self._launch(port)
        self._wait(noted)
        return self.status()

    def stop(self) -> bool:
        """Stop it with its state saved; False when it did not run.

        Raises:
            EngineDied: it does not end; its state since the last clean stop may be lost with it.
        """
        noted = record.read(self.home.engine_record)
        if noted is None:
            return False
        was_running = noted.is_running
        if not process.end(noted.pid, mark=noted.started, patience_s=_STOP_PATIENCE_S):
            process.end_now(noted.pid, mark=noted.started)
            self._forget()
            lost = "what it did since its last stop may be lost"
            msg = f"The engine did not stop within {_STOP_PATIENCE_S} s and was ended; {lost}."
            raise EngineDied(msg)
        self._forget()
        return was_running

    def snapshot(self) -> None:
        """Ask it to save its state now, in case that it is not stopped cleanly."""
        noted = record.read(self.home.engine_record)
        if noted and noted.is_running:
            process.ask_to_save(noted.pid)

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        return last_lines(self.home.engine_log, count)

    def _launch(self, port: int) -> EngineRecord:
        self.home.state.mkdir(parents=True, exist_ok=True)
        self._turn_log()
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
        noted = EngineRecord(
            pid=started.pid,
            started=process.start_mark(started.pid) or "",
            port=port,
            version=self.home.engine_version,
            mark=mark,
        )
        noted.write(self.home.engine_record)
        return noted

    def _wait(self, noted: EngineRecord) -> None:
        until = time.monotonic() + _START_PATIENCE_S
        while not _answers(noted):
            if not noted.is_running:
                self._forget()
                msg = f"The engine ended while it started. The end of {self.home.engine_log}:\n{self.last_lines()}"
                raise EngineDied(msg)
            if time.monotonic() > until:
                msg = f"The engine does not answer after {_START_PATIENCE_S} s. See {self.home.engine_log}"
                raise EngineDied(msg)
            time.sleep(0.05)

    def _turn_log(self) -> None:
        log = self.home.engine_log
        if log.exists() and log.stat().st_size > _LOG_KEPT_BYTES:
            log.replace(log.with_suffix(".log.1"))

    def _forget(self) -> None:
        self.home.engine_record.unlink(missing_ok=True)


def last_lines(path: Path, count: int) -> str:
    """The end of a log; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])


def _answers(noted: EngineRecord) -> bool:
    found = health.ask(noted.port)
    return found is not None and found.mark == noted.mark


def _port_taken(port: int) -> str:
    who = "the engine of another checkout" if health.ask(port) else "another program"
    return f"Port {port} is taken by {who}. Choose another one: AINEXUS_PORT={port + 10} make up"
