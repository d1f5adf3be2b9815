# pyright: basic, reportAttributeAccessIssue=false
# It runs in the engine's interpreter on a deployed bundle, where no type checker runs.
"""Calls a handler again and again under a profiler that counts CPU; of this repository it imports only the bundle.

`python profiled.py MODULE < {"event": …, "events": …}` prints, as JSON, the answers and the CPU ms by package.
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
    """Profile all events but the first few."""
    events = json.load(sys.stdin)
    said, sys.stdout = sys.stdout, sys.stderr
    handler = importlib.import_module(sys.argv[1]).handler
    profile = cProfile.Profile(time.process_time)
    answers = [handler(event, None) for event in events[:_WARM]]
    profile.enable()
    answers += [handler(event, None) for event in events[_WARM:]]
    profile.disable()
    spent = _by_package(pstats.Stats(profile).stats, calls=len(events) - _WARM)
    json.dump({"answers": answers, "ms": spent}, said)


def _by_package(stats: dict, *, calls: int) -> dict[str, float]:
    """Time of functions themselves; what is written in C counts for whoever calls it."""
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
    for place, folder in enumerate(folders):
        if folder in {"site-packages", "code"} and place + 1 < len(folders):
            return folders[place + 1].removesuffix(".py")
    return "standard library" if "python3" in file else "other"


if __name__ == "__main__":
    main()
