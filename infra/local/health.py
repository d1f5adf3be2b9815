"""Health checks and ports on this machine."""

import json
import socket
import urllib.request
from dataclasses import dataclass
from typing import Any

from infra.local.environment import HOST

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """The response of an engine's health check."""

    version: str
    mark: str


def fetch_health(port: int, *, timeout_s: float = 2) -> EngineHealth | None:
    """Return the health of the engine on a port; None if no engine responds there."""
    try:
        with _DIRECT.open(f"http://{HOST}:{port}/_ministack/health", timeout=timeout_s) as body:
            response: dict[str, Any] = json.load(body)
        return EngineHealth(version=str(response["version"]), mark=str(response["edition"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_free(port: int) -> bool:
    """Return whether a program could listen on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
