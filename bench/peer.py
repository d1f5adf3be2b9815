"""The peer: the LiteLLM proxy in its own environment, with budgets, which it stores in memory."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.health import free_port
from infra.local.packages import Packages
from infra.local.paths import Home

KEY = "sk-bench"
_TIMEOUT_S = 180


@dataclass(frozen=True)
class Peer:
    """A running proxy."""

    pid: int
    url: str


def _config(upstream: str) -> str:
    budget = {"max_budget": 1_000_000, "budget_duration": "30d"}
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    model = {"model": "openai/m", "api_base": upstream, "api_key": "none", **price, **budget}
    provider = {"openai": {"budget_limit": 1_000_000, "time_period": "30d"}}
    # JSON is valid YAML.
    return json.dumps(
        {
            "model_list": [{"model_name": "m", "litellm_params": model}],
            "router_settings": {"provider_budget_config": provider},
            "general_settings": {"master_key": KEY},
            "litellm_settings": {"telemetry": False},
        }
    )


@contextmanager
def running(home: Home, *, upstream: str) -> Generator[Peer]:
    """Run the proxy while the block lasts. It is installed the first time."""
    folder, packages, lock = home.tools / "litellm", Packages(home), home.root / "locks" / "peer.txt"
    if not packages.is_current(folder, lock=lock):
        packages.install(folder, lock=lock, interpreter=home.python)
    config = home.state / "litellm.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(_config(upstream))
    port = free_port()
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with (home.state / "litellm.log").open("wb") as log:
        started = subprocess.Popen(  # noqa: S603 — the program that was just installed
            [str(folder / "bin" / "litellm"), *arguments], env=environ, stdout=log, stderr=log
        )
    try:
        _wait(started, port, Path(log.name))
        yield Peer(started.pid, f"http://127.0.0.1:{port}/v1/chat/completions")
    finally:
        started.terminate()
        started.wait()


def _wait(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5):
                return
        except OSError:
            if started.poll() is not None or time.monotonic() > until:
                msg = f"LiteLLM does not start; see {log}"
                raise RuntimeError(msg) from None
            time.sleep(0.5)
