"""The corpus of the linter, and the published results."""

import json
from dataclasses import asdict

from bench.lint.__main__ import RESULTS, rules_of, scores
from bench.lint.corpus import CLEAN, PLANTED, PLANTS, corpus
from services.agents.agents.domain import AgentConfig
from services.agents.lint_rules.domain.registry import builtin_rules
from shared.template import variables_of


def test_the_corpus_is_the_same_each_time() -> None:
    assert corpus() == corpus()
    assert corpus(seed=1) != corpus()


def test_the_corpus_has_valid_documents() -> None:
    samples = corpus()
    assert [bool(sample.expected) for sample in samples] == [False] * CLEAN + [True] * PLANTED
    for sample in samples:
        if "template" in sample.document:
            variables_of(sample.document["template"])
        else:
            AgentConfig.model_validate(sample.document)


def test_every_rule_is_planted() -> None:
    assert set(PLANTS) == {rule.rule_id for rule in builtin_rules()}


def test_the_published_results_are_current() -> None:
    published = json.loads(RESULTS.read_text())["rules"]
    measured = [asdict(score) | {"precision": score.precision, "recall": score.recall} for score in scores(corpus())]
    assert published == measured, "run `python -m bench.lint` and `make docs`"


def test_a_planted_fault_is_found() -> None:
    sample = corpus()[CLEAN]
    assert sample.expected <= rules_of(sample)
