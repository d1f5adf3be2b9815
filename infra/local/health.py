"""What answers on a port of this machine."""

import json
import socket
import urllib.request
from dataclasses import dataclass
from typing import Any

from infra.local.environment import HOST

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Health:
    """What an engine says of itself."""

    version: str
    mark: str


def ask(port: int, *, patience_s: float = 2) -> Health | None:
    """The health of the engine on a port; None when nothing there answers as an engine."""
    try:
        with _DIRECT.open(f"http://{HOST}:{port}/_ministack/health", timeout=patience_s) as answer:
            said: dict[str, Any] = json.load(answer)
        return Health(version=str(said["version"]), mark=str(said["edition"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_free(port: int) -> bool:
    """Whether a program could listen on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
