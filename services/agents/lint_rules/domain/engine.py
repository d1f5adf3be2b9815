"""Evaluation of rules on a document."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from services.agents.lint_rules.domain.finding import Finding, Hit, LintReport, Severity, fingerprint
from services.agents.lint_rules.domain.registry import builtin_rules
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.rules.suppressions import suppressed_rules
from services.agents.lint_rules.domain.views import LintContext, View, views_of_config, views_of_template

MAX_FINDINGS = 200
MAX_HITS_OF_RULE = 50
"""The maximum number of hits of one rule in one view."""
MAX_EDIT_CHARS = 4_096
"""The maximum length of a text that a finding repeats in its fix. A longer one is changed by `apply_fixes` alone."""


def lint_config(
    config: Mapping[str, Any],
    context: LintContext,
    *,
    rules: Sequence[Rule] | None = None,
    min_severity: Severity = Severity.INFO,
) -> LintReport:
    """Return the findings of an agent's config, most severe first."""
    found = [*hits_in(views_of_config(config, context), rules)]
    return _report(found, min_severity, ignored=suppressed_rules(config))


def lint_template(
    template: str,
    context: LintContext,
    *,
    rules: Sequence[Rule] | None = None,
    min_severity: Severity = Severity.INFO,
) -> LintReport:
    """Return the findings of a stored prompt, most severe first."""
    return _report([*hits_in(views_of_template(template, context), rules)], min_severity)


LocatedHit = tuple[Rule, View, Hit]


def hits_in(views: Iterable[View], rules: Sequence[Rule] | None = None) -> Iterator[LocatedHit]:
    """Yield the hits of all rules, each place once, with pointers from the root of the document."""
    chosen = builtin_rules() if rules is None else rules
    seen: set[tuple[str, str, int, int, str]] = set()
    for view in views:
        for rule in chosen:
            if view.kind not in rule.targets:
                continue
            for hit in islice(rule.check(view), MAX_HITS_OF_RULE):
                place = (rule.rule_id, pointer_of(view, hit), hit.start, hit.end, hit.identity)
                if place not in seen:
                    seen.add(place)
                    yield rule, view, hit


def pointer_of(view: View, hit: Hit) -> str:
    """Return the JSON Pointer of a hit from the root of the document."""
    return view.pointer + hit.pointer


def identified(found: Iterable[LocatedHit]) -> Iterator[tuple[str, LocatedHit]]:
    """Yield each hit with the id of its finding."""
    occurrences = Counter[tuple[str, str, str]]()
    for rule, view, hit in found:
        key = (rule.rule_id, pointer_of(view, hit), hit.identity)
        yield fingerprint(*key, occurrences[key]), (rule, view, hit)
        occurrences[key] += 1


def _report(
    found: Sequence[LocatedHit], min_severity: Severity, *, ignored: frozenset[str] = frozenset()
) -> LintReport:
    kept = [(finding_id, hit) for finding_id, hit in identified(found) if hit[0].rule_id not in ignored]
    findings = [_finding(finding_id, *hit) for finding_id, hit in kept if hit[0].severity.includes(min_severity)]
    order = list(reversed(Severity))
    findings.sort(key=lambda finding: (order.index(finding.severity), finding.rule_id))
    return LintReport(
        tuple(findings[:MAX_FINDINGS]),
        suppressed=len(found) - len(kept),
        is_truncated=len(findings) > MAX_FINDINGS,
    )


def _finding(finding_id: str, rule: Rule, view: View, hit: Hit) -> Finding:
    return Finding(
        finding_id=finding_id,
        rule_id=rule.rule_id,
        severity=rule.severity,
        category=rule.category,
        message=hit.message,
        target=view.kind,
        pointer=pointer_of(view, hit),
        start=hit.start,
        end=hit.end,
        suggestion=hit.suggestion,
        fix=() if view.is_stored else tuple(hit.fix) or _edit(view, hit),
    )


def _edit(view: View, hit: Hit) -> tuple[Mapping[str, Any], ...]:
    """Return the replacement of the whole text around a short edit."""
    if hit.edit is None:
        return ()
    text = text_at(view, hit)
    if text is None or len(text) > MAX_EDIT_CHARS:
        return ()
    value = text[: hit.start] + hit.edit + text[hit.end :]
    return ({"op": "replace", "path": pointer_of(view, hit), "value": value},)


def text_at(view: View, hit: Hit) -> str | None:
    """Return the text in which a hit is."""
    if not hit.pointer:
        return view.value if isinstance(view.value, str) else None
    return next((text.text for text in view.texts() if text.pointer == hit.pointer), None)
