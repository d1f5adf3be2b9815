"""Examination of documents with a fixed date and fixed prices."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from services.agents.lint_rules.domain.engine import lint_config, lint_template
from services.agents.lint_rules.domain.finding import Finding, LintReport
from services.agents.lint_rules.domain.views import LintContext

TODAY = date(2026, 11, 30)
"""The date of the table of models, by which gpt-4 is retired and gpt-4o retires soon."""


def price(provider: str, model: str, tokens_in: int, tokens_out: int) -> int | None:  # noqa: ARG001 — a price table's
    """Return 5 and 25 USD per million tokens; None for an unheard-of model."""
    return None if "unheard" in model else tokens_in * 5_000 + tokens_out * 25_000


CONTEXT = LintContext(TODAY, price)


def examine(document: Mapping[str, Any], context: LintContext = CONTEXT) -> LintReport:
    """Return the report of a config, or of `{"template": …}`."""
    if set(document) == {"template"}:
        return lint_template(document["template"], context)
    return lint_config(document, context)


def found(document: Mapping[str, Any], rule_id: str, context: LintContext = CONTEXT) -> list[Finding]:
    """Return the findings of one rule."""
    return [finding for finding in examine(document, context).findings if finding.rule_id == rule_id]


def prompt(text: str) -> dict[str, Any]:
    """Return a config with this system prompt."""
    return {"model": "gpt-5.5", "system_prompt": text}
