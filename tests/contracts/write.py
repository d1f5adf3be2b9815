"""Writes the snapshots of new events and of new optional fields: `python -m tests.contracts.write`.

A change that breaks a stored contract is refused: it is a new version, said beside the old one until the last consumer
has moved.
"""

import sys

from shared.events.catalogue import CATALOGUE
from tests.contracts.schema import SNAPSHOTS, breaks, schema_of, snapshot, to_text


def write() -> int:
    """Write what may be written; the exit code says whether that was all."""
    broken: dict[str, list[str]] = {}
    for event_type, kind in CATALOGUE.items():
        path = SNAPSHOTS / f"{event_type}.json"
        schema = schema_of(kind)
        found = breaks(snapshot(event_type), schema) if path.exists() else []
        if found:
            broken[event_type] = found
        else:
            path.write_text(to_text(schema))
    for event_type, places in broken.items():
        sys.stderr.write(f"{event_type} breaks its contract at {', '.join(places)}: it needs a new version\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(write())
