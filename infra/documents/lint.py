"""The built-in rules of the linter as a page."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.bundle.target import ROOT
from infra.documents.markdown import block, table
from services.agents.lint_rules.domain.registry import builtin_rules
from services.agents.lint_rules.domain.rule import Rule

_SCORES = ROOT / "bench" / "results" / "lint.json"
_MAX_EXAMPLE_CHARS = 200
_HEAD = """# Rules of the linter

`make docs` generates this page from the rules. [Lint prompts and agents](../guides/linting.md) shows their use.

Each rule has an example with a finding and one without, which are its tests. `python -m bench.lint` measures the rules
on a generated corpus of {clean} clean and {planted} faulty configs (seed {seed}). The authors of the rules have made
the corpus too, so that its numbers show errors of the rules, and not what they find in the configs of others. A prompt
of 64 KB takes {prompt_64_kb_ms} ms of CPU time on the machine of the measurement.
"""
_SUPPRESSION = """A config suppresses a rule with `"lint_ignore": [{"rule_id": "AIN502", "reason": "…"}]`.
"""


def lint_markdown() -> str:
    """Return the page."""
    measured: Mapping[str, Any] = json.loads(_SCORES.read_text())
    scores = {str(row["rule_id"]): row for row in measured["rules"]}
    rows = [
        (
            f"[{rule.rule_id}](#{rule.rule_id.lower()})",
            rule.title,
            rule.severity.value,
            rule.category.value,
            _percent(scores[rule.rule_id]["precision"]),
            _percent(scores[rule.rule_id]["recall"]),
        )
        for rule in builtin_rules()
    ]
    head = ("rule", "title", "severity", "category", "precision", "recall")
    lines = [_HEAD.format(**measured), _SUPPRESSION, *table(head, rows)]
    return "\n".join([*lines, *(line for rule in builtin_rules() for line in _section(rule))])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _section(rule: Rule) -> Iterator[str]:
    yield f"## {rule.rule_id}\n"
    yield f"**{rule.title}** ({rule.severity.value}, {rule.category.value}). {rule.reason}\n"
    yield f"{rule.guard}\n"
    yield "A finding:\n"
    yield from block(_short(rule.bad))
    yield "No finding:\n"
    yield from block(_short(rule.good))


def _short(example: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example in which long texts are cut."""
    return {
        name: f"{value[:_MAX_EXAMPLE_CHARS]}…" if isinstance(value, str) and len(value) > _MAX_EXAMPLE_CHARS else value
        for name, value in example.items()
    }
