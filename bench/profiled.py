# pyright: basic, reportAttributeAccessIssue=false
# It runs in the engine's interpreter on a deployed bundle, where no type checker runs.
"""Call a handler repeatedly under a CPU profiler. This module imports only the bundle of this repository.

`python profiled.py MODULE` reads a JSON list of events from its standard input, and prints `{"answers": …, "ms": …}`:
the answers of the handler, and the CPU ms per call by package.
"""

import cProfile
import importlib
import json
import pstats
import sys
import time
from collections import Counter

_WARM = 3


def main() -> None:
    """Profile all events except the first few."""
    events = json.load(sys.stdin)
    output, sys.stdout = sys.stdout, sys.stderr
    handler = importlib.import_module(sys.argv[1]).handler
    profile = cProfile.Profile(time.process_time)
    responses = [handler(event, None) for event in events[:_WARM]]
    profile.enable()
    responses += [handler(event, None) for event in events[_WARM:]]
    profile.disable()
    spent = _by_package(pstats.Stats(profile).stats, calls=len(events) - _WARM)
    json.dump({"answers": responses, "ms": spent}, output)


def _by_package(stats: dict, *, calls: int) -> dict[str, float]:
    """Return the CPU ms per call by package, without callees. Functions in C count for the package that calls them."""
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if not file.startswith("~"):
            spent[_package(file)] += own
            continue
        for (caller, _, _), (_, _, share, _) in callers.items():
            spent[_package(caller)] += share
    return {name: round(seconds * 1_000 / calls, 2) for name, seconds in spent.most_common()}


def _package(file: str) -> str:
    folders = file.split("/")
    for index, folder in enumerate(folders):
        if folder in {"site-packages", "code"} and index + 1 < len(folders):
            return folders[index + 1].removesuffix(".py")
    return "standard library" if "python3" in file else "other"


if __name__ == "__main__":
    main()
