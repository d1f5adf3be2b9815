"""AIN5xx: output caps and fallbacks."""

from collections.abc import Iterator
from typing import cast

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.models import fallback_model
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View

_CONFIG = (TargetKind.CONFIG,)
DEFAULT_MAX_OUTPUT_TOKENS = 4_096
"""The cap of runs without one, so that the fix changes nothing but states it."""


def _fallbacks(view: View) -> list[str]:
    names = view.config.get("fallbacks")
    found = cast("list[object]", names) if isinstance(names, list) else []
    return [name for name in found if isinstance(name, str)]


def _check_cap(view: View) -> Iterator[Hit]:
    if view.config.get("max_output_tokens") is None:
        yield Hit(
            "The config sets no output cap. Each run reserves the default of 4,096 tokens.",
            suggestion="Set `max_output_tokens` to what the answers need.",
            fix=[{"op": "add", "path": "/max_output_tokens", "value": DEFAULT_MAX_OUTPUT_TOKENS}],
        )


def _check_fallback(view: View) -> Iterator[Hit]:
    is_own = view.model is None or view.model.name.provider == "simulated"
    if not is_own and not _fallbacks(view):
        yield Hit(
            "The config has no fallback, so an outage of the provider fails its runs.",
            suggestion="Name a model of another provider in `fallbacks`.",
        )


def _check_providers(view: View) -> Iterator[Hit]:
    names, model = _fallbacks(view), view.model
    found = [fallback_model(name) for name in names]
    if model is None or not names or any(one is None for one in found):
        return
    if all(one and one.name.provider == model.name.provider for one in found):
        yield Hit(
            f"All fallbacks are models of {model.name.provider}, and an outage concerns them too.",
            pointer="/fallbacks",
            suggestion="Add a model of another provider.",
            identity=model.name.provider,
        )


def _check_repetitions(view: View) -> Iterator[Hit]:
    names = _fallbacks(view)
    seen = {str(view.config.get("model")).lower()}
    for number, name in enumerate(names):
        if name.lower() in seen:
            yield Hit(
                f"{name} is tried before, and is not tried again.",
                pointer=f"/fallbacks/{number}",
                suggestion="Remove it.",
                fix=[{"op": "remove", "path": f"/fallbacks/{number}"}],
                identity=name.lower(),
            )
        seen.add(name.lower())


RULES = (
    Rule(
        rule_id="AIN501",
        title="No output cap",
        severity=Severity.INFO,
        category=Category.COST,
        targets=_CONFIG,
        reason="The cap bounds the cost and the duration of a run, and is reserved in the budget for each call.",
        guard="Any cap counts.",
        check=_check_cap,
        bad={"model": "gpt-5.5"},
        good={"model": "gpt-5.5", "max_output_tokens": 500},
    ),
    Rule(
        rule_id="AIN502",
        title="No fallback",
        severity=Severity.INFO,
        category=Category.PERFORMANCE,
        targets=_CONFIG,
        reason="Providers have outages of minutes to hours several times a year.",
        guard="Servers of the tenant's own and the built-in provider are passed over.",
        check=_check_fallback,
        bad={"model": "gpt-5.5"},
        good={"model": "gpt-5.5", "fallbacks": ["claude-sonnet-5-5"]},
    ),
    Rule(
        rule_id="AIN503",
        title="Fallbacks of the same provider only",
        severity=Severity.WARNING,
        category=Category.PERFORMANCE,
        targets=_CONFIG,
        reason="An outage of a provider often concerns all its models.",
        guard="One fallback of another provider suffices.",
        check=_check_providers,
        bad={"model": "gpt-5.5", "fallbacks": ["gpt-5.4"]},
        good={"model": "gpt-5.5", "fallbacks": ["gpt-5.4", "claude-sonnet-5-5"]},
    ),
    Rule(
        rule_id="AIN504",
        title="Fallback that was tried before",
        severity=Severity.WARNING,
        category=Category.PERFORMANCE,
        targets=_CONFIG,
        reason="A repeated model has no effect.",
        guard="Names are compared as they are written, without case.",
        check=_check_repetitions,
        bad={"model": "gpt-5.5", "fallbacks": ["claude-sonnet-5-5", "gpt-5.5"]},
        good={"model": "gpt-5.5", "fallbacks": ["claude-sonnet-5-5"]},
    ),
)
