"""`python -m bench.connections`: CPU and wall time of a call to AWS by client, over loopback, without and with TLS."""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.connections.certificate import write_certificate
from bench.connections.clients import CLIENTS, ConnectionClient
from bench.connections.shapes import SHAPES, Shape
from bench.upkeep import store_results
from infra.local.paths import ROOT

_RESULTS = ROOT / "bench" / "results" / "connections.json"
_THREADS = (1, 4)
_CALLS_OF_RUN = 9
_CPU_MS_OF_RUN = 12.5
"""The CPU of a waited run, of which complete runs of `python -m bench` had 8.5 to 12.5."""
_IMPORTS = {"ours": "httptools", "http.client": "http.client", "urllib3": "urllib3"}
_IMPORT = """
import sys, time, types
stub = types.ModuleType("shared.aws.connection")
stub.Connections = stub.Reply = object
sys.modules["shared.aws.connection"] = stub
import services.runs.api.runs
import resource
used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
before = used()
import {package}
print((used() - before) * 1000)
"""
"""The import of a client's package in a function of which all other modules are imported already."""


@dataclass(frozen=True, slots=True)
class CpuAndWallTime:
    """The time of one call, in ms."""

    cpu: float
    wall: float


def main() -> None:
    """Measure, print and store the results."""
    options = argparse.ArgumentParser(prog="python -m bench.connections")
    options.add_argument("--rounds", type=int, default=9, help="in which the clients take turns")
    options.add_argument("--calls", type=int, default=400, help="of each shape, client and round")
    arguments = options.parse_args()
    cells = {
        f"{scheme}, {shape.operation}, {threads} thread{'s' if threads > 1 else ''}": cell
        for scheme in ("http", "https")
        for shape, threads, cell in _of_scheme(scheme, rounds=arguments.rounds, calls=arguments.calls)
    }
    measured = {
        "rounds": arguments.rounds,
        "calls_per_round": arguments.calls,
        "medians_ms_per_call": cells,
        "more_than_ours_per_waited_run": _per_run(cells),
        "import_cpu_ms": {name: _import_ms(package, rounds=arguments.rounds) for name, package in _IMPORTS.items()},
    }
    store_results(_RESULTS, measured)


def _of_scheme(scheme: str, *, rounds: int, calls: int) -> Iterator[tuple[Shape, int, dict[str, Any]]]:
    with serving(scheme) as url:
        clients = {name: new(url) for name, new in CLIENTS.items()}
        for shape in SHAPES:
            for threads in _THREADS:
                yield shape, threads, _cell(clients, shape, url, rounds=rounds, calls=calls, threads=threads)
        for client in clients.values():
            client.close()


def _cell(
    clients: dict[str, ConnectionClient], shape: Shape, url: str, *, rounds: int, calls: int, threads: int
) -> dict[str, Any]:
    spent: dict[str, list[CpuAndWallTime]] = {name: [] for name in clients}
    for turn in range(rounds + 1):
        for name in random.sample(sorted(clients), len(clients)):
            one = _spent(clients[name], shape, url, calls=calls, threads=threads)
            if turn:  # The first turn opens the connections.
                spent[name].append(one)
    ours = spent["ours"]
    return {
        name: {
            "cpu": _median([one.cpu for one in found]),
            "wall": _median([one.wall for one in found]),
            "cpu_more_than_ours": _median([one.cpu - other.cpu for one, other in zip(found, ours, strict=True)]),
        }
        for name, found in spent.items()
    }


def _spent(client: ConnectionClient, shape: Shape, url: str, *, calls: int, threads: int) -> CpuAndWallTime:
    host = url.partition("//")[2]

    def call(number: int) -> None:
        for _ in range(number):
            client.send("POST", "/", shape.headers(host), shape.request)

    started = [threading.Thread(target=call, args=(calls // threads,)) for _ in range(threads)]
    cpu, wall = time.process_time(), time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return CpuAndWallTime(cpu * 1_000 / calls, wall * 1_000 / calls)


def _per_run(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU that a waited run would take in addition, over TLS and with one thread."""
    found = [cell for name, cell in cells.items() if name.startswith("https") and name.endswith("1 thread")]
    more = {
        name: _CALLS_OF_RUN * statistics.mean(cell[name]["cpu_more_than_ours"] for cell in found) for name in CLIENTS
    }
    return {
        name: {"cpu_ms": round(value, 2), "percent": round(100 * value / _CPU_MS_OF_RUN, 1)}
        for name, value in more.items()
    }


def _import_ms(package: str, *, rounds: int) -> float:
    command = [sys.executable, "-c", _IMPORT.format(package=package)]
    done = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(rounds)]  # noqa: S603 — our own program
    return _median([float(one.stdout) for one in done], digits=1)


def _median(values: Sequence[float], *, digits: int = 3) -> float:
    return round(statistics.median(values), digits)


@contextmanager
def serving(scheme: str) -> Generator[str]:
    """Yield the URL of a server. With `https`, this process trusts its certificate from then on."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.connections.server"]
        if scheme == "https":
            certificate = Path(folder) / "both.pem"
            write_certificate(certificate)
            os.environ["SSL_CERT_FILE"] = str(certificate)
            command.append(str(certificate))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 — as above
            try:
                port = server.stdout.readline().strip() if server.stdout else ""
                yield f"{scheme}://127.0.0.1:{port}"
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
