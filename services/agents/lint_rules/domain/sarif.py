"""Findings as SARIF 2.1.0 (OASIS), which code scanning and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from collections.abc import Iterable, Sequence
from typing import Any

from services.agents.lint_rules.domain.finding import Finding, Severity
from services.agents.lint_rules.domain.rule import Rule
from shared.version import VERSION

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DOCUMENTATION = "https://github.com/ainexus/ainexus/blob/main/docs/reference/lint.md"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def to_sarif(findings: Iterable[Finding], rules: Sequence[Rule], *, uri: str) -> dict[str, Any]:
    """Return a SARIF log of one run.

    Args:
        findings: the findings.
        rules: the rules that were evaluated.
        uri: the path of the linted document.
    """
    numbers = {rule.rule_id: number for number, rule in enumerate(rules)}
    driver = {
        "name": "ainexus lint",
        "version": VERSION,
        "informationUri": DOCUMENTATION,
        "rules": [_rule(rule) for rule in rules],
    }
    results = [_result(finding, numbers, uri=uri) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.rule_id,
        "name": "".join(word.capitalize() for word in rule.title.replace("'", "").split()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "helpUri": f"{DOCUMENTATION}#{rule.rule_id.lower()}",
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"category": rule.category.value},
    }


def _result(finding: Finding, numbers: dict[str, int], *, uri: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if finding.end > finding.start:
        physical["region"] = {"charOffset": finding.start, "charLength": finding.end - finding.start}
    location = {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": finding.pointer or "/"}]}
    number = {"ruleIndex": numbers[finding.rule_id]} if finding.rule_id in numbers else {}
    return {
        "ruleId": finding.rule_id,
        **number,
        "level": _LEVELS[finding.severity],
        "message": {"text": " ".join(filter(None, [finding.message, finding.suggestion]))},
        "locations": [location],
        "partialFingerprints": {"ainexusFinding/v1": finding.finding_id},
    }
