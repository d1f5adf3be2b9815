"""Runs as they are shown: what is too large for an answer is given as an address to download it from."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.runs.domain.artifact import MAX_SHOWN_BYTES, download
from services.runs.domain.run import Run
from services.runs.table.runs import RunTable
from shared.times import to_text

_LASTS = timedelta(minutes=5)
"""No longer than the credentials that sign it are certain to last."""


def shown(runs: RunTable, run: Run, *, now: datetime) -> Run:
    """The run, an output over 1 MiB replaced by where it is."""
    size = run.artifacts.get("output", 0)
    if size <= MAX_SHOWN_BYTES:
        return run
    address = runs.address_of_output(run, lasts_s=int(_LASTS.total_seconds()))
    runs.say(run, download(run, "output", now=now))
    artifact = {"url": address, "bytes": size, "expires_at": to_text(now + _LASTS)}
    return replace(run, output={"artifact": artifact})
