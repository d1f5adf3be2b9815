"""`python -m bench.lint`: measure the rules on the corpus, and write the table to `bench/results/lint.json`."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.lint.corpus import CLEAN, PLANTED, SEED, Sample, corpus
from services.agents.lint_rules.domain.engine import lint_config, lint_template
from services.agents.lint_rules.domain.registry import builtin_rules
from services.agents.lint_rules.domain.views import LintContext
from services.agents.lint_rules.gateway import list_price

RESULTS = Path(__file__).parents[1] / "results" / "lint.json"
MEASURED_ON = datetime(2026, 11, 30, tzinfo=UTC)
"""The date of the lint, by which models are retired or not."""
_PROMPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RuleScore:
    """The documents in which a rule was right and wrong."""

    rule_id: str
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float | None:
        """The share of its findings that are right; None without any."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else None

    @property
    def recall(self) -> float | None:
        """The share of the planted faults that it finds; None without any."""
        planted = self.true_positives + self.false_negatives
        return self.true_positives / planted if planted else None


def context() -> LintContext:
    """Return the date and the price table of the measurement."""
    return LintContext(MEASURED_ON.date(), partial(list_price, at=MEASURED_ON))


def rules_of(sample: Sample) -> frozenset[str]:
    """Return the rules with findings in a document."""
    document = sample.document
    report = (
        lint_template(document["template"], context()) if "template" in document else lint_config(document, context())
    )
    return frozenset(finding.rule_id for finding in report.findings)


def scores(samples: list[Sample]) -> list[RuleScore]:
    """Return the score of every rule."""
    found = [(sample.expected, rules_of(sample)) for sample in samples]
    return [
        RuleScore(
            rule.rule_id,
            sum(rule.rule_id in expected and rule.rule_id in rules for expected, rules in found),
            sum(rule.rule_id not in expected and rule.rule_id in rules for expected, rules in found),
            sum(rule.rule_id in expected and rule.rule_id not in rules for expected, rules in found),
        )
        for rule in builtin_rules()
    ]


def milliseconds_of_large_prompt() -> float:
    """Return the CPU time of a lint of a prompt with 64 KB."""
    line = "Always be kind. Use 4539 1488 0343 6467 or {{a}}, never sk-x. Ask a.b@acme.io. "
    config = {"model": "gpt-5.5", "system_prompt": (line * _PROMPT_BYTES)[:_PROMPT_BYTES]}
    started = time.process_time()
    lint_config(config, context())
    return (time.process_time() - started) * 1_000


def main() -> None:
    """Measure and write the results."""
    table = scores(corpus())
    milliseconds_of_large_prompt()
    result = {
        "seed": SEED,
        "clean": CLEAN,
        "planted": PLANTED,
        "prompt_64_kb_ms": round(milliseconds_of_large_prompt(), 1),
        "rules": [asdict(score) | {"precision": score.precision, "recall": score.recall} for score in table],
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    wrong = [score for score in table if score.false_positives or score.false_negatives]
    sys.stdout.write("\n".join(map(str, wrong)) + f"\n{len(table)} rules, 64 KB in {result['prompt_64_kb_ms']} ms\n")


if __name__ == "__main__":
    main()
