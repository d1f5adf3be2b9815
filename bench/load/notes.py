"""The results of the load test as text, by stage and by request."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load.stages import STAGES, stage_at


@dataclass(frozen=True)
class Note:
    """One request."""

    second: float
    """Seconds since the first response."""
    name: str
    ms: float
    ok: bool


def read(path: Path) -> list[Note]:
    """Read all notes, in the order of time."""
    entries = sorted((json.loads(line) for line in path.read_text().splitlines()), key=lambda one: one["at"])
    first = entries[0]["at"] if entries else 0
    return [Note(one["at"] - first, one["name"], one["ms"], one["ok"]) for one in entries]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the percentile of these values; 0 if there are none."""
    if len(values) < 2:
        return values[0] if values else 0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


_HEAD = f"{'requests':>8} {'a second':>8} {'failed':>6} {'p50 ms':>7} {'p95 ms':>7} {'max ms':>7}"


def lines_of(notes: Sequence[Note]) -> Iterator[str]:
    """Yield the table by stage, and then the table by request."""
    yield f"{'stage':22} {'users':>5} {_HEAD}"
    for stage in STAGES:
        some = [note for note in notes if stage_at(note.second) == stage]
        yield f"{stage.name:22} {stage.users:5} {_row(some, seconds=stage.seconds)}"
    yield ""
    total_s = sum(stage.seconds for stage in STAGES)
    for name in sorted({note.name for note in notes}):
        yield f"{name:28} {_row([note for note in notes if note.name == name], seconds=total_s)}"
    yield f"{'all':28} {_row(notes, seconds=total_s)}"


def _row(notes: Sequence[Note], *, seconds: int) -> str:
    times = [note.ms for note in notes]
    failed = sum(not note.ok for note in notes)
    return (
        f"{len(notes):8} {len(notes) / seconds:8.1f} {failed:6} "
        f"{percentile(times, 50):7.0f} {percentile(times, 95):7.0f} {max(times, default=0):7.0f}"
    )
