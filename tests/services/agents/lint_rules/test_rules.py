"""Every rule by its examples, and by cases that are close to them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from services.agents.agents.domain import AgentConfig
from services.agents.lint_rules.domain.finding import Severity
from services.agents.lint_rules.domain.models import REPLACEMENTS
from services.agents.lint_rules.domain.registry import builtin_rules
from services.agents.lint_rules.domain.rule import Rule
from shared.models.capabilities import TABLE
from shared.template import variables_of
from tests.services.agents.lint_rules.examination import CONTEXT, TODAY, examine, found, prompt

RULES = builtin_rules()
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule_id)


@EVERY_RULE
class TestExamples:
    def test_the_bad_one_has_one_finding(self, rule: Rule) -> None:
        assert [finding.severity for finding in found(rule.bad, rule.rule_id)] == [rule.severity]

    def test_the_good_one_has_none(self, rule: Rule) -> None:
        assert found(rule.good, rule.rule_id) == []

    def test_are_valid_documents(self, rule: Rule) -> None:
        for document in (rule.bad, rule.good):
            if "template" in document:
                variables_of(document["template"])
            else:
                AgentConfig.model_validate(dict(document))

    def test_have_a_documentation(self, rule: Rule) -> None:
        assert re.fullmatch("AIN[1-9][0-9]{2}", rule.rule_id)
        assert rule.reason.endswith(".")
        assert rule.guard.endswith(".")


def test_ids_are_unique_and_sorted() -> None:
    ids = [rule.rule_id for rule in RULES]
    assert ids == sorted({*ids})


class TestSecrets:
    @pytest.mark.parametrize(
        "secret",
        [
            "AKIAQYLPMN5HFIQR7XYA",
            "sk-proj-4f9aB2xLq8Zr1TnWc7VdKy3M",
            "sk-ant-api03-4f9aB2xLq8Zr1TnWc7VdKy3M",
            "github_pat_11ABCDEFG0abcdefghijkl_mnop",
            "xoxb-123456789012-abcdefghijkl",
            "rk_live_4f9aB2xLq8Zr1TnWc7VdKy3M",
            "AIzaSyD4f9aB2xLq8Zr1TnWc7VdKy3Mqrstuvwx",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ],
    )
    def test_are_found_with_their_place(self, secret: str) -> None:
        [finding] = found(prompt(f"Ü: use {secret} here."), "AIN101")
        assert (finding.pointer, finding.start, finding.end) == ("/system_prompt", 7, 7 + len(secret))

    @pytest.mark.parametrize(
        "text",
        [
            "AKIAIOSFODNN7EXAMPLE",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
            "ghp_" + "a" * 36,
            "task-force-of-the-next-year-2026",
            "sk-your_key_goes_here_1234",
        ],
    )
    def test_samples_are_passed_over(self, text: str) -> None:
        assert found(prompt(text), "AIN101") == []

    def test_never_occur_in_a_report(self) -> None:
        secrets = ["sk-proj-4f9aB2xLq8Zr1TnWc7VdKy3M", "4539 1488 0343 6467", "qX7!vR2pLz9w"]
        config = prompt(f"Key {secrets[0]}, card {secrets[1]}, password: {secrets[2]}")
        report = examine(config)
        shown = "".join(f"{one.message}{one.suggestion}{one.finding_id}" for one in report.findings)
        assert {"AIN101", "AIN104", "AIN201"} <= {finding.rule_id for finding in report.findings}
        assert [secret for secret in secrets if secret in shown] == []

    def test_are_found_in_tools_and_schemas_too(self) -> None:
        tool: dict[str, Any] = {"name": "a", "description": "Uses AKIAQYLPMN5HFIQR7XYA.", "parameters": {}}
        assert [one.pointer for one in found({"model": "gpt-5.5", "tools": [tool]}, "AIN101")] == [
            "/tools/0/description"
        ]


class TestPersonalData:
    @pytest.mark.parametrize(
        ("text", "rule_id"),
        [
            ("Card 378734493671000", "AIN201"),
            ("IBAN: NL02ABNA0123456789", "AIN202"),
            ("BSN 111222333", "AIN203"),
            ("codice fiscale RCCMNL83S18D969H", "AIN203"),
            ("CPF 390.533.447-05", "AIN203"),
            ("PESEL 44051401359", "AIN203"),
        ],
    )
    def test_is_found_by_its_checksum(self, text: str, rule_id: str) -> None:
        assert len(found(prompt(text), rule_id)) == 1

    @pytest.mark.parametrize(
        "text", ["order 378734493671001", "NL03ABNA0123456789", "item 111222333", "4444444444444448"]
    )
    def test_numbers_without_it_are_passed_over(self, text: str) -> None:
        assert [one.rule_id for one in examine(prompt(text)).findings if one.rule_id.startswith("AIN2")] == []


class TestInstructions:
    @pytest.mark.parametrize(
        "template",
        [
            "<email>{{ email }}</email>",
            "Text:\n```\n{{ text }}\n```\nRate it.",
            '"""{{ text }}"""',
            "###\n{{ question }}\n###",
            "Use the {{ language }} of {{ company_name }}.",
        ],
    )
    def test_delimited_values_and_settings_are_passed_over(self, template: str) -> None:
        assert found({"template": template}, "AIN301") == []

    @pytest.mark.parametrize(
        "template", ["Rate {{ review }}.", "<a>{{ text }}</b>", "<text> {{ a }} {{ text }}</text>"]
    )
    def test_other_values_are_found(self, template: str) -> None:
        assert found({"template": template}, "AIN301")

    def test_a_stored_prompt_of_a_config_is_examined(self) -> None:
        config = {"model": "gpt-5.5", "system_prompt": {"prompt_id": "prm_1"}}
        context = replace(CONTEXT, template="Rate {{ review }}.")
        [finding] = found(config, "AIN301", context)
        assert finding.fix == ()

    @pytest.mark.parametrize(
        "text",
        [
            "Answer only in German. Be polite. Always respond in French.",
            "Always apologize to customers. You never apologize to customers.",
            "Respond with only JSON. Use markdown for lists.",
        ],
    )
    def test_contradictions_are_found(self, text: str) -> None:
        assert len(found(prompt(text), "AIN302")) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "Answer in German. If the user writes French, respond in French.",
            "Always greet the user. Never greet the user twice.",
            "Be brief, not detailed.",
            "Never mention competitors. Always mention our warranty.",
        ],
    )
    def test_other_instructions_are_passed_over(self, text: str) -> None:
        assert found(prompt(text), "AIN302") == []


class TestModels:
    def test_every_replacement_is_in_the_table_and_stays(self) -> None:
        rows = {row.family: row for row in TABLE}
        dated = {row.family for row in TABLE if row.retires_on}
        assert set(REPLACEMENTS) == dated
        for family, successor in REPLACEMENTS.items():
            assert rows[successor].retires_on is None
            assert rows[successor].provider == rows[family].provider

    def test_a_retired_fallback_is_found_with_its_fix(self) -> None:
        config = {"model": "gpt-5.5", "fallbacks": ["claude-3-7-sonnet-20250219"]}
        [finding] = found(config, "AIN402")
        assert finding.fix == ({"op": "replace", "path": "/fallbacks/0", "value": "claude-sonnet-5-5"},)

    def test_the_day_decides(self) -> None:
        config = {"model": "gpt-4o"}
        before = replace(CONTEXT, today=TODAY.replace(month=10, day=1))
        after = replace(CONTEXT, today=TODAY.replace(year=2027, month=1, day=14))
        assert examine(config, before).summary[Severity.ERROR] == 0
        assert (found(config, "AIN403", before), len(found(config, "AIN402", after))) == ([], 1)


class TestOddConfigs:
    """Configs in a request are examined even if they are not valid."""

    @pytest.mark.parametrize(
        "config",
        [
            {},
            {"model": 5, "tools": {"a": 1}, "fallbacks": "x", "response_schema": [], "lint_ignore": 7},
            {"model": "", "tools": [1, {"name": 2, "parameters": "x"}], "fallbacks": [None, 1]},
            {"model": "gpt-5.5", "max_output_tokens": "many", "system_prompt": ["a"], "temperature": "hot"},
            {"model": "azure/x", "provider": "openai", "base_url": "::"},
            {"model": "gpt-5.5", "response_schema": {"type": "object", "properties": {"a": 1}, "required": "a"}},
            {"model": "gpt-5.5", "tools": [{"parameters": {"type": "object", "required": [1], "properties": []}}]},
        ],
        ids=range(7),
    )
    def test_cause_no_failure(self, config: dict[str, Any]) -> None:
        assert examine(config).summary.keys() == {"error", "warning", "info"}
