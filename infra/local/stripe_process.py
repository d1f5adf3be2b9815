"""The local Stripe as a process beside the engine: start, stop and record."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from infra.local import process, record
from infra.local.engine import last_lines
from infra.local.environment import HOST
from infra.local.errors import StripeDied
from infra.local.health import free_port, is_free
from infra.local.paths import ROOT, Home
from infra.local.record import EngineRecord
from sandbox.stripe import keys
from sandbox.stripe.keys import StripeKeys

_SOURCES = ROOT / "sandbox" / "stripe"
_TIMEOUT_S = 30
_VARIABLES = frozenset({"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"})
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class StripeProcess:
    """The local Stripe of one home."""

    home: Home
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def endpoint(self) -> str | None:
        """The address of the running Stripe; None if it does not run."""
        recorded = self._running_record
        return address(recorded.port) if recorded and self._responds(recorded) else None

    @property
    def keys(self) -> StripeKeys:
        """The keys, created on first use."""
        return keys.load_keys(self.home.stripe_state)

    def start(self, *, engine_port: int) -> bool:
        """Ensure that Stripe runs in the version of this checkout; return False if it already did.

        Args:
            engine_port: Stripe uses the next port if it is free.

        Raises:
            StripeDied: it ended, or does not answer in time.
        """
        recorded = self._running_record
        if recorded and recorded.version == _version() and self._responds(recorded):
            return False
        self.stop()
        self._wait(self._launch(self._port(engine_port)))
        return True

    def stop(self) -> bool:
        """Stop Stripe without losing data, and return whether it was running."""
        recorded = record.read(self.home.stripe_record)
        if recorded is None:
            return False
        was_running = recorded.is_running
        if not process.end(recorded.pid, mark=recorded.started, timeout_s=_TIMEOUT_S):
            process.end_now(recorded.pid, mark=recorded.started)
        self.home.stripe_record.unlink(missing_ok=True)
        return was_running

    def set_webhook_url(self, webhook_url: str) -> None:
        """Set the URL of its webhook."""
        body = json.dumps({"url": webhook_url}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint}/_local/webhook", data=body, headers=headers)  # noqa: S310 — our own
        with _DIRECT.open(request, timeout=_TIMEOUT_S):
            return

    @property
    def _running_record(self) -> EngineRecord | None:
        recorded = record.read(self.home.stripe_record)
        return recorded if recorded and recorded.is_running else None

    def _port(self, engine_port: int) -> int:
        """Return the port after the engine's, else the previous one to keep the address, else any free port."""
        return next((port for port in self._preferred_ports(engine_port) if is_free(port)), None) or free_port()

    def _preferred_ports(self, engine_port: int) -> Iterator[int]:
        yield engine_port + 1
        previous = self.home.stripe_state / "port"
        if previous.exists():
            yield int(previous.read_text())

    def _launch(self, port: int) -> EngineRecord:
        folder, mark = self.home.stripe_state, record.new_mark()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "port").write_text(str(port))
        inherited = {name: value for name, value in self.environ.items() if name in _VARIABLES}
        settings = {"STRIPE_STATE_DIR": str(folder), "STRIPE_PORT": str(port), "STRIPE_MARK": mark}
        with self.home.stripe_log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "sandbox.stripe"],
                cwd=ROOT,
                env={**inherited, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, not for this
            )
        started.returncode = 0  # the process outlives this command; without this, the object would warn
        began = process.start_mark(started.pid) or ""
        recorded = EngineRecord(pid=started.pid, started=began, port=port, version=_version(), mark=mark)
        recorded.write(self.home.stripe_record)
        return recorded

    def _wait(self, recorded: EngineRecord) -> None:
        until = time.monotonic() + _TIMEOUT_S
        while not self._responds(recorded):
            if not recorded.is_running or time.monotonic() > until:
                log = last_lines(self.home.stripe_log, 15)
                self.stop()
                msg = f"The local Stripe does not answer. The end of {self.home.stripe_log}:\n{log}"
                raise StripeDied(msg)
            time.sleep(0.05)

    def _responds(self, recorded: EngineRecord) -> bool:
        try:
            with _DIRECT.open(f"http://{HOST}:{recorded.port}/_local/health", timeout=2) as response:
                return json.load(response).get("mark") == recorded.mark
        except (OSError, ValueError):
            return False


def address(port: int) -> str:
    """Return the address of a Stripe on a port."""
    return f"http://localhost:{port}"


def _version() -> str:
    """Hash the sources: when they change, a running Stripe is restarted."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
