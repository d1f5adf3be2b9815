"""Findings of the linter."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.ids import joined

_ID_CHARS = 16


class Severity(StrEnum):
    """The severity of a finding, from the least to the most severe."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def includes(self, least: "Severity") -> bool:
        """Return whether this severity is at least `least`."""
        order = list(Severity)
        return order.index(self) >= order.index(least)


class Category(StrEnum):
    """The subject of a finding."""

    SECURITY = "security"
    PRIVACY = "privacy"
    PERFORMANCE = "performance"
    BEST_PRACTICE = "best_practice"
    COMPLIANCE = "compliance"
    COST = "cost"


class TargetKind(StrEnum):
    """The kind of document that a rule examines. Each kind has a view, see `views`."""

    CONFIG = "config"
    PROMPT = "prompt"
    TOOL = "tool"
    SCHEMA = "schema"
    DATASET_ITEM = "dataset_item"


class Gate(StrEnum):
    """The effect of errors on a version that is to go live: the tenant's setting `lint_gate`."""

    OFF = "off"
    """Nothing is linted."""
    WARN = "warn"
    """It goes live, and the response counts its findings."""
    BLOCK = "block"
    """It is refused with its findings."""


PatchOperation = Mapping[str, Any]
"""An operation of a JSON Patch (RFC 6902)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A condition that one rule has found in one place."""

    message: str
    pointer: str = ""
    """The JSON Pointer of the value, from the root of the view."""
    start: int = 0
    """The first code point of the place within a text; 0 with `end` 0 for a value as a whole."""
    end: int = 0
    suggestion: str | None = None
    fix: Sequence[PatchOperation] = ()
    """The change that removes the cause, with pointers from the root of the document."""
    edit: str | None = None
    """The text that a fix writes in place of `start` to `end`; None if no text is replaced."""
    identity: str = ""
    """Distinguishes it from other hits of its rule at this place, in every version. It never holds a secret."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit of a rule, as it is reported."""

    finding_id: str
    """The same for the same finding in each version."""
    rule_id: str
    severity: Severity
    category: Category
    message: str
    target: TargetKind
    pointer: str
    """The JSON Pointer of the value, from the root of the config or prompt."""
    start: int
    end: int
    suggestion: str | None = None
    fix: tuple[PatchOperation, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether it keeps a version from going live where the gate blocks."""
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class LintReport:
    """The result of one lint of a document."""

    findings: tuple[Finding, ...]
    suppressed: int = 0
    """The number of findings that the document ignores with a reason."""
    is_truncated: bool = False
    """Whether there are more findings than a report can hold."""
    errors: tuple[Finding, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", tuple(finding for finding in self.findings if finding.is_error))

    @property
    def summary(self) -> dict[Severity, int]:
        """The number of findings of each severity, from the most severe."""
        return count_by_severity(self.findings)


def count_by_severity(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Return the number of findings of each severity, from the most severe."""
    severities = [finding.severity for finding in findings]
    return {severity: severities.count(severity) for severity in reversed(Severity)}


def fingerprint(rule_id: str, pointer: str, identity: str, occurrence: int) -> str:
    """Return the id of a finding, which is the same in each version of a document."""
    content = joined(rule_id, pointer, identity, str(occurrence))
    return hashlib.sha256(content.encode()).hexdigest()[:_ID_CHARS]
