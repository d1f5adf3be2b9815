"""Imports a handler as Lambda does before it takes a snapshot, and writes down what of that every copy would share.

Run in a process of its own: `python -m tests.infra.snapshot_probe services.runs.api.runs.handler …`
"""

import functools
import gc
import importlib
import json
import random
import secrets
import socket
import sys
import traceback
import uuid
from collections.abc import Callable
from typing import Any

OURS = ("/services/", "/shared/", "/infra/")


def main(handlers: list[str]) -> dict[str, Any]:
    """What importing these handlers has drawn, opened and made."""
    drawn: list[str] = []
    for module, names in ((uuid, ("uuid1", "uuid4")), (secrets, ("randbits", "token_hex", "token_bytes"))):
        for name in names:
            setattr(module, name, _told(getattr(module, name), name, drawn))
    sys.addaudithook(lambda event, _: drawn.append(event) if event == "socket.connect" else None)
    seeded = random.getstate()
    for handler in handlers:
        importlib.import_module(handler.rpartition(".")[0])
    return {"drawn": drawn, "random_used": random.getstate() != seeded, "made": _made(), "sockets": _sockets()}


def _told(function: Callable[..., Any], name: str, drawn: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def told(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 — any function
        if any(part in line.filename for line in traceback.extract_stack()[:-1] for part in OURS):
            drawn.append(name)
        return function(*arguments, **options)

    return told


def _made() -> list[str]:
    """What `wiring` makes once per container, and has made already."""
    ours = [module for name, module in sys.modules.items() if name.split(".")[0] in {"services", "shared", "infra"}]
    cached = [value for module in ours for value in vars(module).values() if hasattr(value, "cache_info")]
    return sorted({f"{one.__module__}.{one.__qualname__}" for one in cached if one.cache_info().currsize})


def _sockets() -> int:
    return sum(isinstance(one, socket.socket) for one in gc.get_objects())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])))
