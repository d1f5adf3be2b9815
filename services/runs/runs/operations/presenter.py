"""Runs in responses: outputs that are too large for a response are replaced by a download link."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.runs.runs.domain.artifact import MAX_RESPONSE_OUTPUT_BYTES, download
from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from shared.times import to_text

_LINK_LIFETIME = timedelta(minutes=5)
"""The validity of a download link; the credentials that sign it may expire soon after."""


def present_run(runs: RunTable, run: Run, *, now: datetime) -> Run:
    """Return the run, with an output over 1 MiB replaced by a download link."""
    size = run.artifacts.get("output", 0)
    if size <= MAX_RESPONSE_OUTPUT_BYTES:
        return run
    address = runs.address_of_output(run, lasts_s=int(_LINK_LIFETIME.total_seconds()))
    runs.publish(download(run, "output", now=now))
    artifact = {"url": address, "bytes": size, "expires_at": to_text(now + _LINK_LIFETIME)}
    return replace(run, output={"artifact": artifact})
