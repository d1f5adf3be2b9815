"""Payloads that users and models write for a run. Large ones are artifacts.

An artifact is stored in the bucket, counted in the tenant's storage, and deleted with the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.run import Run
from shared.events.envelope import Event, new_event
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactEvent, ArtifactStored, RunEvent
from shared.freejson import encode

MAX_INLINE_BYTES = 64 * 1024
"""Larger payloads, measured as JSON in UTF-8, are stored in the bucket instead of the run's item."""
MAX_INLINE_METADATA_BYTES = 4 * 1024
"""The same limit for metadata."""
MAX_RESPONSE_OUTPUT_BYTES = 1024 * 1024
"""Larger payloads are not part of a response, since a Lambda function's response is limited to 6 MB."""

Change = tuple[Run, list[Event[RunEvent]]]
Payload = Mapping[str, Any]


def payloads(run: Run) -> dict[str, Payload]:
    """Return the run's payloads by name, which is also the artifact's id if the payload is stored in the bucket."""
    found: dict[str, Payload | None] = {
        "inputs": run.inputs,
        "metadata": run.metadata,
        f"turns-{len(run.turns)}": _turns(run.turns) if run.turns else None,
        "output": run.output,
    }
    return {name: payload for name, payload in found.items() if payload is not None}


def add_artifacts(run: Run, events: list[Event[RunEvent]], *, now: datetime) -> Change:
    """Return the change with the artifacts that it stores, and their events."""
    sizes = {name: size_of(payload) for name, payload in payloads(run).items()}
    large = {name: size for name, size in sizes.items() if size > inline_bytes(name)}
    stored = {name: size for name, size in large.items() if name not in run.artifacts}
    stored_events = [
        _payload(run, name, ArtifactStored(run_id=run.run_id, artifact_id=name, bytes=size), "stored", seq=1, now=now)
        for name, size in stored.items()
    ]
    return replace(run, artifacts={**run.artifacts, **stored}), [*events, *stored_events]


def stores_artifacts(events: Sequence[Event[RunEvent]]) -> bool:
    """Return whether the change with these events stores anything in the bucket."""
    return any(isinstance(event.data, ArtifactStored) for event in events)


def delete_artifacts(run: Run, *, now: datetime) -> list[Event[RunEvent]]:
    """Return the events that delete all artifacts of the run."""
    return [
        _payload(run, name, ArtifactDeleted(run_id=run.run_id, artifact_id=name, bytes=size), "deleted", seq=2, now=now)
        for name, size in run.artifacts.items()
    ]


def download(run: Run, name: str, *, now: datetime) -> Event[RunEvent]:
    """Return the event of a download link; one per artifact and hour, however many links are issued.

    It is dated to the beginning of the hour, so that events with the same id are identical.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    data = ArtifactDownloaded(
        run_id=run.run_id,
        agent_id=run.agent_id,
        project_id=run.project_id,
        artifact_id=name,
        bytes=run.artifacts[name],
    )
    return _payload(run, name, data, f"downloaded:{hour:%Y-%m-%dT%H}", seq=1, now=hour)


def inline_bytes(name: str) -> int:
    """Return the maximum size, in bytes, at which this payload stays in the run's item."""
    return MAX_INLINE_METADATA_BYTES if name == "metadata" else MAX_INLINE_BYTES


def bytes_of_turns(turns: Sequence[Message]) -> int:
    """Return the stored size of these turns, in bytes."""
    return size_of(_turns(turns))


def size_of(payload: Payload) -> int:
    """Return the stored size of a payload, in bytes."""
    return len(encode(payload))


def _turns(turns: Sequence[Message]) -> Payload:
    return {"turns": [turn.to_payload() for turn in turns]}


def _payload(run: Run, name: str, data: ArtifactEvent, what: str, *, seq: int, now: datetime) -> Event[RunEvent]:
    subject = f"{run.run_id}:{name}"
    return new_event(
        data,
        event_id=f"{subject}:{what}",
        tenant_id=run.tenant_id,
        subject=subject,
        seq=seq,
        at=now,
        trace_id=run.trace_id,
    )
