"""Lints of files, without a mesh, and of agents and prompts through the API."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from cli.api import ApiRequest, Send
from cli.errors import CommandRefused
from services.agents.lint_rules.domain.finding import Category, Finding, LintReport, Severity, TargetKind

_PATHS = {"agt": "agent_id", "prm": "prompt_id"}
MAX_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LintedFile:
    """A config or template in a file."""

    path: Path

    def lint(self, *, now: datetime) -> LintReport:
        """Return the report of the file.

        JSON is a config, `{"config": …}` of an agent, or `{"template": …}` of a prompt. Any other text is a template.

        Raises:
            CommandRefused: the file cannot be read.
        """
        from services.agents.lint_rules.domain.engine import lint_config, lint_template
        from services.agents.lint_rules.domain.views import LintContext
        from services.agents.lint_rules.gateway import list_price

        context, document = LintContext(now.date(), partial(list_price, at=now)), self._document()
        if "template" in document:
            return lint_template(str(document["template"]), context)
        config = document.get("config", document)
        return lint_config(cast("Mapping[str, Any]", config), context)

    def _document(self) -> Mapping[str, Any]:
        try:
            text = self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{self.path} cannot be read as text: {error}"
            raise CommandRefused(msg) from error
        if len(text.encode()) > MAX_FILE_BYTES:
            msg = f"{self.path} is larger than {MAX_FILE_BYTES} bytes."
            raise CommandRefused(msg)
        if self.path.suffix != ".json":
            return {"template": text}
        try:
            document = json.loads(text)
        except ValueError as error:
            msg = f"{self.path} is not JSON: {error}"
            raise CommandRefused(msg) from error
        if not isinstance(document, dict):
            msg = f"{self.path} holds no config. Write an object with the fields of a config."
            raise CommandRefused(msg)
        return cast("Mapping[str, Any]", document)


def is_stored(subject: str) -> bool:
    """Return whether the subject is the id of an agent or prompt, and no file."""
    return subject.partition("_")[0] in _PATHS and not Path(subject).exists()


def lint_stored(subject: str, url: str, token: str, *, send: Send) -> LintReport:
    """Return the report of an agent or prompt, examined by the mesh.

    Args:
        subject: the id.
        url: the address of the tenant.
        token: the token of a user who may lint.
        send: sends the request.

    Raises:
        CommandRefused: the mesh has refused the lint.
    """
    body = {"target": {_PATHS[subject.partition("_")[0]]: subject}}
    response = send(ApiRequest("POST", f"{url}/lint/run", body, token=token))
    if response.status != 201:
        raise CommandRefused(response.reason)
    return LintReport(tuple(_finding(fields) for fields in response.body["lint"]["findings"]))


def lines_of(report: LintReport, *, name: str) -> Iterator[str]:
    """Yield the lines of a report for people."""
    for finding in report.findings:
        place = f":{finding.start}-{finding.end}" if finding.end else ""
        yield f"{name}{finding.pointer}{place}  {finding.severity.value}  {finding.rule_id}  {finding.message}"
        if finding.suggestion:
            yield f"    {finding.suggestion}{' (has a fix)' if finding.fix else ''}"
    counts = ", ".join(f"{count} {severity.value}" for severity, count in report.summary.items())
    yield f"{name}: {counts}" + (f", {report.suppressed} suppressed" if report.suppressed else "")


def to_json(report: LintReport) -> dict[str, Any]:
    """Return a report as JSON, in the form of the API."""
    return {
        "summary": {severity.value: count for severity, count in report.summary.items()},
        "suppressed": report.suppressed,
        "findings": [_fields(finding) for finding in report.findings],
    }


def to_sarif_log(report: LintReport, *, name: str) -> dict[str, Any]:
    """Return a report as SARIF 2.1.0."""
    from services.agents.lint_rules.domain.registry import builtin_rules
    from services.agents.lint_rules.domain.sarif import to_sarif

    return to_sarif(report.findings, builtin_rules(), uri=name)


def exit_code(report: LintReport, *, fail_on: Severity) -> int:
    """Return 1 if a finding is at least as severe as `fail_on`."""
    return int(any(finding.severity.includes(fail_on) for finding in report.findings))


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "rule_id": finding.rule_id,
        "severity": finding.severity.value,
        "category": finding.category.value,
        "message": finding.message,
        "target": finding.target.value,
        "location": {"pointer": finding.pointer, "start": finding.start, "end": finding.end},
        "suggestion": finding.suggestion,
        "fix": [dict(operation) for operation in finding.fix],
    }


def _finding(fields: Mapping[str, Any]) -> Finding:
    location = fields["location"]
    return Finding(
        finding_id=fields["finding_id"],
        rule_id=fields["rule_id"],
        severity=Severity(fields["severity"]),
        category=Category(fields["category"]),
        message=fields["message"],
        target=TargetKind(fields["target"]),
        pointer=location["pointer"],
        start=location["start"],
        end=location["end"],
        suggestion=fields.get("suggestion"),
        fix=tuple(fields.get("fix", ())),
    )
