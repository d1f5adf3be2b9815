"""The local Stripe as a process beside the engine: started, stopped, and known by its note."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import process, record
from infra.local.engine import last_lines
from infra.local.environment import HOST
from infra.local.errors import StripeDied
from infra.local.health import free_port, is_free
from infra.local.paths import ROOT, Home
from infra.local.record import EngineRecord
from infra.local.stripe import keys
from infra.local.stripe.keys import Keys

_HERE = Path(__file__).parent
_PATIENCE_S = 30
_KEEPS = frozenset({"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"})
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class StripeProcess:
    """The local Stripe of one home."""

    home: Home
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def endpoint(self) -> str | None:
        """Where it answers; None when it does not run."""
        noted = self._noted
        return address(noted.port) if noted and self._answers(noted) else None

    @property
    def keys(self) -> Keys:
        """Its keys; made when there are none."""
        return keys.kept(self.home.stripe_state)

    def start(self, *, engine_port: int) -> bool:
        """Make sure that it runs, in the version of this checkout; False when it did already.

        Args:
            engine_port: it takes the next one, unless that is taken.

        Raises:
            StripeDied: it ended, or does not answer in time.
        """
        noted = self._noted
        if noted and noted.version == _version() and self._answers(noted):
            return False
        self.stop()
        self._wait(self._launch(self._port(engine_port)))
        return True

    def stop(self) -> bool:
        """Stop it; False when it did not run. What it has answered is kept in any case."""
        noted = record.read(self.home.stripe_record)
        if noted is None:
            return False
        was_running = noted.is_running
        if not process.end(noted.pid, mark=noted.started, patience_s=_PATIENCE_S):
            process.end_now(noted.pid, mark=noted.started)
        self.home.stripe_record.unlink(missing_ok=True)
        return was_running

    def point_to(self, webhook_url: str) -> None:
        """Let its events go to an address."""
        body = json.dumps({"url": webhook_url}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint}/_local/webhook", data=body, headers=headers)  # noqa: S310 — our own
        with _DIRECT.open(request, timeout=_PATIENCE_S):
            return

    @property
    def _noted(self) -> EngineRecord | None:
        noted = record.read(self.home.stripe_record)
        return noted if noted and noted.is_running else None

    def _port(self, engine_port: int) -> int:
        """The engine's next, else the one that it had, so that its address stays the same; else any."""
        return next((port for port in self._wanted(engine_port) if is_free(port)), None) or free_port()

    def _wanted(self, engine_port: int) -> Iterator[int]:
        yield engine_port + 1
        had = self.home.stripe_state / "port"
        if had.exists():
            yield int(had.read_text())

    def _launch(self, port: int) -> EngineRecord:
        folder, mark = self.home.stripe_state, record.new_mark()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "port").write_text(str(port))
        kept = {name: value for name, value in self.environ.items() if name in _KEEPS}
        told = {"STRIPE_STATE_DIR": str(folder), "STRIPE_PORT": str(port), "STRIPE_MARK": mark}
        with self.home.stripe_log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "infra.local.stripe"],
                cwd=ROOT,
                env={**kept, **told},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, not for this
            )
        started.returncode = 0  # it outlives this command; otherwise the object would warn of that
        began = process.start_mark(started.pid) or ""
        noted = EngineRecord(pid=started.pid, started=began, port=port, version=_version(), mark=mark)
        noted.write(self.home.stripe_record)
        return noted

    def _wait(self, noted: EngineRecord) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not self._answers(noted):
            if not noted.is_running or time.monotonic() > until:
                said = last_lines(self.home.stripe_log, 15)
                self.stop()
                msg = f"The local Stripe does not answer. The end of {self.home.stripe_log}:\n{said}"
                raise StripeDied(msg)
            time.sleep(0.05)

    def _answers(self, noted: EngineRecord) -> bool:
        try:
            with _DIRECT.open(f"http://{HOST}:{noted.port}/_local/health", timeout=2) as answer:
                return json.load(answer).get("mark") == noted.mark
        except (OSError, ValueError):
            return False


def address(port: int) -> str:
    """Where a Stripe on a port answers."""
    return f"http://localhost:{port}"


def _version() -> str:
    """Of the sources: when they change, a Stripe that runs is started anew."""
    said = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        said.update(path.read_bytes())
    return said.hexdigest()[:12]
