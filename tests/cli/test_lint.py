"""The command that lints files and stored agents."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cli.api import ApiRequest, ApiResponse
from cli.app import main
from cli.errors import CommandRefused
from cli.lint import LintedFile, exit_code, is_stored, lines_of, lint_stored
from services.agents.lint_rules.domain.finding import Severity

NOW = datetime(2026, 11, 30, tzinfo=UTC)
AGENT = "agt_01KATM3XW8P5Q7E9R2T4Y6V1ZB"
FAULTY = {"model": "gpt-5.5", "max_output_tokens": 9, "system_prompt": "Use ghp_16C7e42F292c6912E7710c838347Ae178B4a."}


def written(folder: Path, content: object, name: str = "agent.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class TestFile:
    @pytest.mark.parametrize(
        "content", [FAULTY, {"name": "A", "config": FAULTY}, {"template": FAULTY["system_prompt"]}]
    )
    def test_is_a_config_an_agent_or_a_prompt(self, tmp_path: Path, content: object) -> None:
        report = LintedFile(written(tmp_path, content)).lint(now=NOW)
        assert "AIN101" in {finding.rule_id for finding in report.findings}

    def test_of_text_is_a_template(self, tmp_path: Path) -> None:
        path = written(tmp_path, "Rate {{ review }}.", name="prompt.md")
        assert [finding.rule_id for finding in LintedFile(path).lint(now=NOW).findings] == ["AIN301"]

    @pytest.mark.parametrize("content", ["{", "[]", "7"])
    def test_of_another_form_is_refused(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(CommandRefused):
            LintedFile(written(tmp_path, content)).lint(now=NOW)

    def test_that_is_missing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CommandRefused, match="cannot be read"):
            LintedFile(tmp_path / "none.json").lint(now=NOW)


class TestCommand:
    def test_prints_findings_and_fails_on_errors(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = written(tmp_path, FAULTY)
        assert main(["lint", str(path)]) == 1
        printed = capsys.readouterr().out
        assert f"{path}/system_prompt:4-44  error  AIN101" in printed
        assert printed.rstrip().endswith("1 error, 0 warning, 1 info")

    def test_fails_on_the_given_severity_only(self, tmp_path: Path) -> None:
        path = written(tmp_path, {"model": "gpt-5.5", "max_output_tokens": 9})
        assert [main(["lint", str(path), "--fail-on", one]) for one in ("error", "warning", "info")] == [0, 0, 1]

    def test_prints_json_and_sarif(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = written(tmp_path, FAULTY)
        main(["lint", str(path), "--format", "json"])
        found = json.loads(capsys.readouterr().out)
        assert (found["summary"]["error"], found["findings"][0]["rule_id"]) == (1, "AIN101")
        main(["lint", str(path), "--format", "sarif"])
        log = json.loads(capsys.readouterr().out)
        assert (log["version"], log["runs"][0]["results"][0]["ruleId"]) == ("2.1.0", "AIN101")

    def test_needs_a_user_for_an_agent(self) -> None:
        assert main(["lint", AGENT]) == 2


class TestStored:
    FINDING: ClassVar[dict[str, Any]] = {
        "finding_id": "0" * 16,
        "rule_id": "AIN501",
        "severity": "info",
        "category": "cost",
        "message": "No cap.",
        "target": "config",
        "location": {"pointer": "", "start": 0, "end": 0},
    }

    def test_is_linted_by_the_mesh(self) -> None:
        sent: list[ApiRequest] = []

        def send(request: ApiRequest) -> ApiResponse:
            sent.append(request)
            return ApiResponse(201, {"lint": {"findings": [self.FINDING]}})

        report = lint_stored(AGENT, "http://api/v1/tenants/t", "token", send=send)
        assert sent[0].url == "http://api/v1/tenants/t/lint/run"
        assert sent[0].body == {"target": {"agent_id": AGENT}}
        assert exit_code(report, fail_on=Severity.INFO) == 1
        assert next(lines_of(report, name=AGENT)) == f"{AGENT}  info  AIN501  No cap."

    def test_is_refused_with_the_reason(self) -> None:
        refusal = ApiResponse(403, {"error": "Forbidden", "message": "This needs the feature linting."})
        with pytest.raises(CommandRefused, match="linting"):
            lint_stored(AGENT, "http://api", "token", send=lambda _: refusal)

    def test_is_recognized_by_its_id(self, tmp_path: Path) -> None:
        assert is_stored(AGENT)
        assert not is_stored(str(written(tmp_path, FAULTY)))
        assert not is_stored("agent.json")
