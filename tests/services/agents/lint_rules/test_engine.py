"""Reports, fixes and SARIF."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.agents.agents.domain import AgentConfig
from services.agents.lint_rules.domain.engine import (
    MAX_FINDINGS,
    MAX_HITS_OF_RULE,
    hits_in,
    lint_config,
)
from services.agents.lint_rules.domain.finding import Severity
from services.agents.lint_rules.domain.fixes import FixUnknown, NotFixable, fixed
from services.agents.lint_rules.domain.registry import builtin_rules
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.sarif import to_sarif
from services.agents.lint_rules.domain.views import views_of_config, views_of_template
from tests.services.agents.lint_rules.examination import CONTEXT, examine, found, prompt

SARIF = json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text())
"""The schema of the standard, as `@microsoft/jest-sarif` 1.0.0-beta.0 contains it."""
# Its pattern of a language has a bracket too many, which only some libraries accept.
for name in ("run", "toolComponent"):
    del SARIF["definitions"][name]["properties"]["language"]["pattern"]
FIXABLE = [rule for rule in builtin_rules() if found(rule.bad, rule.rule_id)[0].fix]


def fix(document: dict[str, Any], *finding_ids: str) -> dict[str, Any]:
    views = (
        views_of_template(document["template"], CONTEXT)
        if "template" in document
        else views_of_config(document, CONTEXT)
    )
    return fixed(document, hits_in(views), finding_ids)


class TestReport:
    def test_is_sorted_by_severity(self) -> None:
        report = examine({"model": "gpt-4", "temperature": 3, "tools": [{"name": "a"}]})
        order = [Severity.ERROR, Severity.WARNING, Severity.INFO]
        places = [order.index(finding.severity) for finding in report.findings]
        assert places == sorted(places)
        assert {*places} == {0, 1, 2}

    def test_has_the_same_ids_in_another_version(self) -> None:
        first = examine(prompt("Use AKIAQYLPMN5HFIQR7XYA."))
        second = examine({**prompt("Please use the key AKIAQYLPMN5HFIQR7XYA."), "temperature": 0.5})
        ids = [{one.rule_id: one.finding_id for one in report.findings} for report in (first, second)]
        assert ids[0]["AIN101"] == ids[1]["AIN101"]

    def test_has_unique_ids(self) -> None:
        text = "Use AKIAQYLPMN5HFIQR7XYA and AKIAQYLPMN5HFIQR7XYB." * 3
        findings = examine(prompt(text)).findings
        assert len({finding.finding_id for finding in findings}) == len(findings)

    def test_is_bounded(self) -> None:
        tools = [
            {"name": f"t{number}", "parameters": {"type": "object", "required": ["a", "b", "c"]}}
            for number in range(128)
        ]
        report = examine({"model": "gpt-5.5", "tools": tools})
        assert (len(report.findings), report.is_truncated) == (MAX_FINDINGS, True)
        emails = " ".join(f"maria.huber{number}@acme.io" for number in range(500))
        assert len(found(prompt(emails), "AIN204")) == MAX_HITS_OF_RULE

    def test_leaves_out_findings_below_the_least_severity(self) -> None:
        report = lint_config({"model": "gpt-4"}, CONTEXT, min_severity=Severity.ERROR)
        assert [finding.rule_id for finding in report.findings] == ["AIN402"]

    def test_suppresses_a_rule_with_a_reason_only(self) -> None:
        config = {
            "model": "gpt-4",
            "lint_ignore": [{"rule_id": "AIN402", "reason": "A test of old models."}, {"rule_id": "AIN501"}],
        }
        report = examine(config)
        assert report.suppressed == 1
        assert {"AIN501", "AIN901"} <= {finding.rule_id for finding in report.findings}
        assert "AIN402" not in {finding.rule_id for finding in report.findings}

    def test_of_suppressions_cannot_be_suppressed(self) -> None:
        entries = [{"rule_id": "AIN901", "reason": "No."}, {"rule_id": "AIN501"}]
        assert found({"model": "gpt-5.5", "lint_ignore": entries}, "AIN901")


class TestFixes:
    @pytest.mark.parametrize("rule", FIXABLE, ids=lambda rule: rule.rule_id)
    def test_remove_their_finding_and_keep_the_document_valid(self, rule: Rule) -> None:
        [finding] = found(rule.bad, rule.rule_id)
        after = fix(dict(rule.bad), finding.finding_id)
        assert found(after, rule.rule_id) == []
        assert "template" in after or AgentConfig.model_validate(after)

    def test_apply_together(self) -> None:
        config = {
            "model": "gpt-4",
            "fallbacks": ["gpt-4", "gpt-4", "claude-sonnet-5-5"],
            "system_prompt": "Use AKIAQYLPMN5HFIQR7XYA, then AKIAQYLPMN5HFIQR7XYB, card 4539 1488 0343 6467.",
            "lint_ignore": [{"rule_id": "AIN502"}],
        }
        findings = [one for one in examine(config).findings if one.fix and one.pointer != "/model"]
        after = fix(config, *(one.finding_id for one in findings if one.rule_id != "AIN402"))
        assert after == {
            "model": "gpt-4",
            "fallbacks": ["claude-sonnet-5-5"],
            "system_prompt": "Use [removed], then [removed], card [removed].",
            "max_output_tokens": 4096,
        }

    def test_of_a_long_text_are_applied_though_the_finding_does_not_repeat_it(self) -> None:
        config = prompt("Be kind. " * 1_000 + "AKIAQYLPMN5HFIQR7XYA")
        [finding] = found(config, "AIN101")
        assert finding.fix == ()
        assert fix(config, finding.finding_id)["system_prompt"].endswith("kind. [removed]")

    def test_of_unknown_and_unfixable_findings_are_refused(self) -> None:
        [unfixable] = found({"model": "gpt-5.5"}, "AIN502")
        with pytest.raises(NotFixable):
            fix({"model": "gpt-5.5"}, unfixable.finding_id)
        with pytest.raises(FixUnknown):
            fix({"model": "gpt-5.5"}, "0" * 16)

    def test_leave_the_document_unchanged(self) -> None:
        config = {"model": "gpt-5.5", "fallbacks": ["gpt-5.5", "claude-sonnet-5-5"]}
        fix(config, found(config, "AIN504")[0].finding_id)
        assert config["fallbacks"] == ["gpt-5.5", "claude-sonnet-5-5"]


class TestSarif:
    @pytest.mark.parametrize("rule", builtin_rules(), ids=lambda rule: rule.rule_id)
    def test_conforms_to_the_official_schema(self, rule: Rule) -> None:
        log = to_sarif(examine(rule.bad).findings, builtin_rules(), uri="agents/a.json")
        jsonschema_rs.validate(SARIF, log)

    def test_names_place_level_and_fingerprint(self) -> None:
        log = to_sarif(found(prompt("Ü AKIAQYLPMN5HFIQR7XYA"), "AIN101"), builtin_rules(), uri="config.json")
        [result] = log["runs"][0]["results"]
        assert (result["ruleId"], result["level"]) == ("AIN101", "error")
        [location] = result["locations"]
        assert location["physicalLocation"]["region"] == {"charOffset": 2, "charLength": 20}
        assert location["logicalLocations"] == [{"fullyQualifiedName": "/system_prompt"}]
        assert len(result["partialFingerprints"]["ainexusFinding/v1"]) == 16

    def test_an_invalid_log_is_detected(self) -> None:
        log = to_sarif((), builtin_rules(), uri="config.json")
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(SARIF, {**log, "version": "2.0"})
