"""Rules of the linter."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.views import View

Check = Callable[[View], Iterable[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A check with its documentation. Its examples are its tests."""

    rule_id: str
    title: str
    """The condition, as a short phrase."""
    severity: Severity
    category: Category
    targets: tuple[TargetKind, ...]
    reason: str
    """Why the condition is a problem, in one or two sentences."""
    guard: str
    """The means that keep the rule from false findings."""
    check: Check
    bad: Mapping[str, Any]
    """A config that has exactly one finding of this rule, or `{"template": …}` of a prompt."""
    good: Mapping[str, Any]
    """A similar document without a finding of this rule."""
