"""AIN9xx: suppressions of findings."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View


def suppressions(config: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the rule and the reason of each entry in `lint_ignore`."""
    listed = config.get("lint_ignore")
    for number, entry in enumerate(cast("list[object]", listed) if isinstance(listed, list) else ()):
        if isinstance(entry, Mapping):
            named = cast("Mapping[str, Any]", entry)
            yield number, str(named.get("rule_id") or ""), str(named.get("reason") or "").strip()


def suppressed_rules(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the rules that a config ignores with a reason. Suppressions themselves cannot be ignored."""
    return frozenset(rule for _, rule, reason in suppressions(config) if reason and not rule.startswith("AIN9"))


def _check_reasons(view: View) -> Iterator[Hit]:
    for number, rule, reason in suppressions(view.config):
        if not reason:
            yield Hit(
                f"The suppression of {rule} has no reason, so it has no effect.",
                pointer=f"/lint_ignore/{number}",
                suggestion="State why the finding is no problem here, or remove the entry.",
                fix=[{"op": "remove", "path": f"/lint_ignore/{number}"}],
                identity=rule,
            )


RULES = (
    Rule(
        rule_id="AIN901",
        title="Suppression without a reason",
        severity=Severity.WARNING,
        category=Category.COMPLIANCE,
        targets=(TargetKind.CONFIG,),
        reason="The next reader cannot know whether the finding was examined.",
        guard="Any text is a reason.",
        check=_check_reasons,
        bad={"model": "gpt-5.5", "lint_ignore": [{"rule_id": "AIN502"}]},
        good={"model": "gpt-5.5", "lint_ignore": [{"rule_id": "AIN502", "reason": "A batch job that waits."}]},
    ),
)
