"""Import of handlers as before a Lambda snapshot, with a report of the state that all restored copies would share.

It runs in a process of its own: `python -m tests.infra.snapshot_probe services.runs.functions.api.handler …`
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

OUR_FOLDERS = ("/services/", "/shared/", "/infra/")


def main(handlers: list[str]) -> dict[str, Any]:
    """Return the random numbers, connections and objects that an import of these handlers creates."""
    drawn: list[str] = []
    for module, names in ((uuid, ("uuid1", "uuid4")), (secrets, ("randbits", "token_hex", "token_bytes"))):
        for name in names:
            setattr(module, name, _recording(getattr(module, name), name, drawn))
    sys.addaudithook(lambda event, _: drawn.append(event) if event == "socket.connect" else None)
    random_state = random.getstate()
    for handler in handlers:
        importlib.import_module(handler.rpartition(".")[0])
    return {
        "drawn": drawn,
        "random_used": random.getstate() != random_state,
        "made": _cached_objects(),
        "sockets": _count_sockets(),
    }


def _recording(function: Callable[..., Any], name: str, drawn: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def recorded(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 — any function
        if any(part in line.filename for line in traceback.extract_stack()[:-1] for part in OUR_FOLDERS):
            drawn.append(name)
        return function(*arguments, **options)

    return recorded


def _cached_objects() -> list[str]:
    """Return the cached objects of `wiring` that exist already."""
    our_modules = [
        module for name, module in sys.modules.items() if name.split(".")[0] in {"services", "shared", "infra"}
    ]
    cached = [value for module in our_modules for value in vars(module).values() if hasattr(value, "cache_info")]
    return sorted({f"{one.__module__}.{one.__qualname__}" for one in cached if one.cache_info().currsize})


def _count_sockets() -> int:
    return sum(isinstance(one, socket.socket) for one in gc.get_objects())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])))
