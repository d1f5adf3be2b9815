"""Write the snapshots of new events and of new optional fields: `python -m tests.contracts.write_snapshots`.

A change that breaks a stored contract is refused. It needs a new version, which the owner publishes in addition to the
old one until every consumer has moved.
"""

import sys

from shared.events.catalog import CATALOG
from tests.contracts.schema import SNAPSHOTS, breaking_changes, schema_of, snapshot, to_text


def write_snapshots() -> int:
    """Write the snapshots without breaking changes, and return 1 if any event has one."""
    broken: dict[str, list[str]] = {}
    for event_type, kind in CATALOG.items():
        path = SNAPSHOTS / f"{event_type}.json"
        schema = schema_of(kind)
        changes_of_event = breaking_changes(snapshot(event_type), schema) if path.exists() else []
        if changes_of_event:
            broken[event_type] = changes_of_event
        else:
            path.write_text(to_text(schema))
    for event_type, changes in broken.items():
        sys.stderr.write(
            f"{event_type} is incompatible with its snapshot at {', '.join(changes)}. Create a new version.\n"
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(write_snapshots())
