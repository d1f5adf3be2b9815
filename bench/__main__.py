"""`python -m bench`: measure a waited run, and write the results."""

import argparse
import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import cold, machine, mesh, peer, profiles, report, sides, targets
from bench.upstream import RESPONSE_S
from infra.local.paths import ROOT
from shared.times import to_text, utc_now

RESULTS = ROOT / "bench" / "results"
SIMULATED, STREAMED = "run, simulated", "run, streamed from upstream"
CONCURRENT = "run, simulated, four at once"
PEER, PEER_STREAMED = "LiteLLM, whole from upstream", "LiteLLM, streamed from upstream"
_WARMUP_REQUESTS = 5
_IMPORT_ROUNDS = 5
"""Cold starts of each function. The minimum counts."""


def main() -> None:
    """Measure all sides in turns, round by round, and then each function."""
    completed = argparse.ArgumentParser(prog="python -m bench")
    completed.add_argument("--rounds", type=int, default=5)
    completed.add_argument("--requests", type=int, default=20, help="of each side in a round")
    completed.add_argument("--no-peer", action="store_true", help="leave LiteLLM out")
    options = completed.parse_args()
    with ExitStack() as stack:
        ours = stack.enter_context(mesh.deployed())
        found = _measure(ours, rounds=options.rounds, requests=options.requests, with_peer=not options.no_peer)
        results: dict[str, Any] = {
            "at": to_text(utc_now()),
            "commit": _commit(),
            "machine": machine.facts(),
            "sides": found,
            "ratios": _ratios(found),
            "profile_ms": profiles.by_package(ours),
            "functions": _functions(ours),
        }
        results["targets"] = targets.of(results)
    _write(results)


def _measure(ours: mesh.MeasuredMesh, *, rounds: int, requests: int, with_peer: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        url = stack.enter_context(mesh.upstream())
        found = [
            sides.of_mesh(stack, ours, SIMULATED, provider_s=0, model="gpt-4", provider="simulated"),
            sides.of_mesh(stack, ours, CONCURRENT, provider_s=0, together=4, model="gpt-4", provider="simulated"),
            sides.of_mesh(stack, ours, STREAMED, provider_s=RESPONSE_S, model="m", base_url=url),
        ]
        if with_peer:
            proxy = stack.enter_context(peer.running(ours.target.mesh.home, upstream=url))
            found += [
                sides.of_peer(stack, proxy, PEER, stream=False),
                sides.of_peer(stack, proxy, PEER_STREAMED, stream=True),
            ]
        for side in found:
            side.warm(_WARMUP_REQUESTS)
        for number in range(rounds):
            for side in found:
                began = time.monotonic()
                side.measure(requests)
                print(f"round {number + 1}, {side.name}: {side.rounds[-1]:.1f} ms ({time.monotonic() - began:.0f} s)")
        return {side.name: side.results() for side in found}


def _ratios(found: dict[str, Any]) -> dict[str, float]:
    """Return the ratios of our CPU to the peer's, from the medians of interleaved rounds."""
    pairs = [(STREAMED, PEER_STREAMED), (STREAMED, PEER), (SIMULATED, PEER)]
    return {
        f"CPU, {one} / {other}": round(found[one]["cpu_ms"] / found[other]["cpu_ms"], 2)
        for one, other in pairs
        if other in found
    }


def _functions(ours: mesh.MeasuredMesh) -> dict[str, Any]:
    """Measure the functions in turns, so that a slow minute of the machine does not affect only one of them."""
    python, code_bundles = ours.target.mesh.home.engine_python, ours.bundles()
    modules = {name: ours.handler(name) for name in code_bundles}
    took = [
        {
            name: cold.import_ms(python, bundle, modules[name], environ)
            for name, (bundle, environ) in code_bundles.items()
        }
        for _ in range(_IMPORT_ROUNDS)
    ]
    return {
        name: {
            "import_cpu_ms": min(turn[name] for turn in took),
            "bundle_mb": cold.size_mb(bundle),
            "largest_imports_ms": cold.largest(python, bundle, modules[name], environ),
        }
        for name, (bundle, environ) in code_bundles.items()
    }


def _commit() -> str:
    completed = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(completed, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 — a fixed command


def _write(results: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    lines = list(report.lines_of(results))
    _save(RESULTS / "latest.json", json.dumps(results, indent=2))
    _save(RESULTS / "latest.txt", "\n".join(lines))
    print("\n".join(lines))


def _save(path: Path, text: str) -> None:
    path.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
