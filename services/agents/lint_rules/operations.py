"""Examination of configs and templates, and the gate before a version goes live."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from services.agents.errors import VersionHasErrors
from services.agents.lint_rules.domain.engine import lint_config, lint_template
from services.agents.lint_rules.domain.finding import Gate, LintReport
from services.agents.lint_rules.domain.views import LintContext, Price
from services.agents.lint_rules.gateway import list_price
from shared.tenancy.context import TenantAccess
from shared.tenancy.permissions import Feature, effective_features

PriceAt = Callable[[datetime], Price]
TemplateOf = Callable[[Mapping[str, Any]], str | None]
"""Returns the template that a config refers to; None if it refers to none that exists."""


def table_price(at: datetime) -> Price:
    """Return the price table at a time."""
    return partial(list_price, at=at)


def no_template(_config: Mapping[str, Any]) -> None:
    """Return no template: for configs whose system prompt is a text."""


@dataclass(slots=True)
class LiveCheck:
    """The gate of one request: it examines what is to go live.

    Args:
        access: the copy of the tenant, with its gate and features.
        now: the time.
        template_of: reads the stored prompt of a config.
        price_at: the price table.
    """

    access: TenantAccess
    now: datetime
    template_of: TemplateOf = no_template
    price_at: PriceAt = table_price
    report: LintReport | None = field(default=None, init=False)
    """The findings of the version that goes live; None if nothing goes live or the gate is off."""

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Examine a config that is to go live.

        Raises:
            VersionHasErrors: the gate blocks versions with errors, and it has some.
        """
        self._check("config", lambda context: lint_config(config, context), template=lambda: self.template_of(config))

    def check_template(self, template: str) -> None:
        """Examine a template that is to go live.

        Raises:
            VersionHasErrors: the gate blocks versions with errors, and it has some.
        """
        self._check("", lambda context: lint_template(template, context), template=lambda: None)

    def _check(
        self, path: str, examine: Callable[[LintContext], LintReport], *, template: Callable[[], str | None]
    ) -> None:
        gate = Gate(self.access.lint_gate)
        if gate is Gate.OFF or Feature.LINTING not in effective_features(None, self.access.enabled_features):
            return
        self.report = examine(LintContext(self.now.date(), self.price_at(self.now), template()))
        if gate is Gate.BLOCK and self.report.errors:
            errors = [(one, f"{path}{one.pointer.replace('/', '.')}".strip(".")) for one in self.report.errors]
            raise VersionHasErrors([(field, f"{one.rule_id}: {one.message}") for one, field in errors])
