"""What was counted of one run, in the last measurement: calls by operation, and CPU by function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.bundle.target import ROOT

RESULTS = ROOT / "bench" / "results" / "latest.json"
SIDE = "run, simulated"
"""A waited run without an upstream: what it takes is ours alone."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one run, from the request to the counted usage."""

    at: str
    """When it was measured."""
    calls: Mapping[str, float]
    """AWS calls by service and operation; what batches share is divided among the runs."""
    cpu_ms: Mapping[str, float]
    """CPU time by function, on the machine of the measurement."""


def read(path: Path = RESULTS) -> Counted:
    """The last measurement."""
    results = json.loads(path.read_text())
    side = results["sides"][SIDE]
    return Counted(results["at"], side["aws_calls_by_operation"], side["cpu_ms_by_process"])
