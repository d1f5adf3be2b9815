"""Response models of rules."""

from typing import Self

from services.agents.lint_rules.domain.finding import LintReport
from shared.schema import DocumentedModel


class LintSummary(DocumentedModel):
    """The number of findings of each severity."""

    error: int
    warning: int
    info: int

    @classmethod
    def of(cls, report: LintReport) -> Self:
        """Return the response body of a summary."""
        return cls(**{severity.value: count for severity, count in report.summary.items()})

    @classmethod
    def of_live(cls, report: LintReport | None) -> Self | None:
        """Return the response body of the examination of a version that goes live; None if nothing was examined."""
        return cls.of(report) if report else None
