"""What users and models wrote for a run: what is large lies in the bucket, is counted there, and goes with the run."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from services.runs.domain.run import Run
from shared.events.envelope import Event, happened
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactEvent, ArtifactStored, RunEvent
from shared.freejson import encode

MAX_INLINE_BYTES = 64 * 1024
"""What is longer, as JSON in UTF-8, does not lie in the run's item."""
MAX_SHOWN_BYTES = 1024 * 1024
"""What is longer is not part of an answer, which a function's must not be over 6 MB."""

Change = tuple[Run, list[Event[RunEvent]]]
Payload = Mapping[str, Any]


def payloads(run: Run) -> dict[str, Payload]:
    """All that was written for the run, by its name: the id of the artifact when it lies in the bucket."""
    found: dict[str, Payload | None] = {
        "inputs": run.inputs,
        "metadata": run.metadata,
        f"turns-{len(run.turns)}": {"turns": [asdict(turn) for turn in run.turns]} if run.turns else None,
        "output": run.output,
    }
    return {name: payload for name, payload in found.items() if payload is not None}


def keep_artifacts(run: Run, events: list[Event[RunEvent]], *, now: datetime) -> Change:
    """The change with what it puts into the bucket."""
    large = {name: size for name, payload in payloads(run).items() if (size := size_of(payload)) > MAX_INLINE_BYTES}
    stored = {name: size for name, size in large.items() if name not in run.artifacts}
    said = [
        _said(run, name, ArtifactStored(run_id=run.run_id, artifact_id=name, bytes=size), "stored", seq=1, now=now)
        for name, size in stored.items()
    ]
    return replace(run, artifacts={**run.artifacts, **stored}), [*events, *said]


def delete_artifacts(run: Run, *, now: datetime) -> list[Event[RunEvent]]:
    """That all of them are gone, and count no more."""
    return [
        _said(run, name, ArtifactDeleted(run_id=run.run_id, artifact_id=name, bytes=size), "deleted", seq=2, now=now)
        for name, size in run.artifacts.items()
    ]


def download(run: Run, name: str, *, now: datetime) -> Event[RunEvent]:
    """That an address to download it from was given out; said once an hour, however often that is asked for.

    It is said of the hour's beginning: the same thing said again must be the same.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    data = ArtifactDownloaded(
        run_id=run.run_id,
        agent_id=run.agent_id,
        project_id=run.project_id,
        artifact_id=name,
        bytes=run.artifacts[name],
    )
    return _said(run, name, data, f"downloaded:{hour:%Y-%m-%dT%H}", seq=1, now=hour)


def size_of(payload: Payload) -> int:
    """The bytes of a payload where it lies."""
    return len(encode(payload))


def _said(run: Run, name: str, data: ArtifactEvent, what: str, *, seq: int, now: datetime) -> Event[RunEvent]:
    subject = f"{run.run_id}:{name}"
    return happened(
        data,
        event_id=f"{subject}:{what}",
        tenant_id=run.tenant_id,
        subject=subject,
        seq=seq,
        at=now,
        trace_id=run.trace_id,
    )
