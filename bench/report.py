"""The results as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Results = Mapping[str, Any]
_MIN_MS = 0.1
"""Packages below this CPU time are omitted."""


def lines_of(results: Results) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"{results['at']} · {results['commit']}"
    yield ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    yield ""
    yield from _sides(results["sides"])
    yield ""
    yield from _targets(results["targets"])
    yield ""
    yield from _ratios(results["ratios"])
    yield ""
    yield from _parts(results["sides"])
    yield ""
    yield from _profile(results["profile_ms"])
    yield ""
    yield from _cold(results["functions"])


def _sides(sides: Mapping[str, Results]) -> Iterator[str]:
    yield f"{'one request':34} {'CPU ms':>7} {'overhead p50':>13} {'p95':>7} {'AWS calls':>10} {'of':>5}"
    for name, side in sides.items():
        yield (
            f"{name:34} {side['cpu_ms']:7} {side['overhead_ms_p50']:10} ms {side['overhead_ms_p95']:7} "
            f"{side['aws_calls'] or '-':>10} {side['requests']:5}"
        )


def _targets(targets: Sequence[Results]) -> Iterator[str]:
    yield f"{'to hold':66} {'measured':>9} {'at most':>8}"
    for one in targets:
        yield f"{one['name']:66} {one['measured']:9} {one['most']:8} {'' if one['held'] else 'not held'}".rstrip()


def _ratios(ratios: Mapping[str, float]) -> Iterator[str]:
    yield from (f"{name}: {ratio}" for name, ratio in ratios.items())


def _parts(sides: Mapping[str, Results]) -> Iterator[str]:
    for name, side in sides.items():
        if side["aws_calls"]:
            yield f"where it goes, {name}:"
            yield from (f"  {process:20} {ms:6} ms" for process, ms in side["cpu_ms_by_process"].items() if ms)
            yield from (f"  {call:44} {count:6}" for call, count in side["aws_calls_by_operation"].items())


def _profile(profile: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for function, packages in profile.items():
        yield f"under a profiler, CPU ms of one call of {function}: {sum(packages.values()):.1f}"
        yield "  " + ", ".join(f"{package} {ms}" for package, ms in packages.items() if ms >= _MIN_MS)


def _cold(functions: Mapping[str, Results]) -> Iterator[str]:
    yield f"{'cold start':22} {'import CPU ms':>14} {'bundle MB':>10}  most of it (ms of wall time)"
    for name, function in functions.items():
        largest = ", ".join(f"{package} {time}" for package, time in function["largest_imports_ms"].items())
        yield f"{name:22} {function['import_cpu_ms']:14} {function['bundle_mb']:10}  {largest}"
