"""Lints: the stored results of one examination of a document."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.agents.lint_rules.domain.finding import (
    Category,
    Finding,
    LintReport,
    Severity,
    TargetKind,
)
from shared.freejson import encode

RETENTION = timedelta(days=90)
"""The time after which a lint is deleted. Its findings can be computed again."""
MAX_REPORT_BYTES = 256 * 1024
"""The maximum size of the findings of a stored lint. Above it, fixes are left out."""
BUILTIN = "builtin"
"""The name of the built-in rules where a ruleset is named."""


@dataclass(frozen=True, slots=True)
class LintTarget:
    """The document of a lint. Only one of the ids is set; none for a config in the request."""

    agent_id: str | None = None
    prompt_id: str | None = None
    version: int | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it is a version of an agent or prompt, so that findings can be fixed."""
        return self.version is not None


@dataclass(frozen=True, slots=True)
class Lint:
    """One examination of a document."""

    lint_id: str
    target: LintTarget
    report: LintReport
    created_at: datetime


def report_to_text(report: LintReport) -> str:
    """Return a report as JSON, for storage."""
    text = _to_text(report.findings, report)
    if len(text.encode()) <= MAX_REPORT_BYTES:
        return text
    return _to_text([replace(finding, fix=()) for finding in report.findings], report)


def report_from_text(text: str) -> LintReport:
    """Return a stored report."""
    stored: dict[str, Any] = json.loads(text)
    findings = tuple(_finding(fields) for fields in stored["findings"])
    return LintReport(findings, suppressed=stored["suppressed"], is_truncated=stored["is_truncated"])


def _to_text(findings: Sequence[Finding], report: LintReport) -> str:
    fields = {"suppressed": report.suppressed, "is_truncated": report.is_truncated}
    return encode({"findings": [asdict(finding) for finding in findings], **fields}).decode()


def _finding(fields: dict[str, Any]) -> Finding:
    kinds: dict[str, Any] = {
        "severity": Severity(fields["severity"]),
        "category": Category(fields["category"]),
        "target": TargetKind(fields["target"]),
        "fix": tuple(fields["fix"]),
    }
    return Finding(**{**fields, **kinds})
