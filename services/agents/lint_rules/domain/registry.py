"""The built-in rules. They are imported with the first lint, so that a cold start does not pay for them."""

from functools import cache

from services.agents.lint_rules.domain.rule import Rule


@cache
def builtin_rules() -> tuple[Rule, ...]:
    """Return all built-in rules, by id."""
    from services.agents.lint_rules.domain.rules import (
        costs,
        instructions,
        personal,
        reliability,
        schemas,
        secrets,
        settings,
        suppressions,
        tools,
    )

    modules = (secrets, personal, instructions, settings, reliability, tools, schemas, costs, suppressions)
    return tuple(sorted((rule for module in modules for rule in module.RULES), key=lambda rule: rule.rule_id))
