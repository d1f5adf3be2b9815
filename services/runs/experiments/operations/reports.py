"""Results as CSV, JUnit XML and Markdown. Every number leads back to its runs."""

import csv
import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, tostring

from services.runs.experiments.domain.experiment import Experiment
from services.runs.experiments.domain.settings import Rate, Verdict
from services.runs.experiments.domain.statistics.intervals import Interval
from services.runs.experiments.domain.trials import Trial
from services.runs.experiments.operations.costs import cost_of, usd_text
from services.runs.experiments.operations.results import Results, scores_of, value_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of texts that spreadsheets would execute.
https://owasp.org/www-community/attacks/CSV_Injection"""


def csv_of(experiment: Experiment, results: Results) -> str:
    """Return one row for each trial."""
    scorers = [scorer.name for scorer in experiment.definition.scorers]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    fields = ("trial", "item_id", "variant", "repetition", "run_id", "status", "error_code", "cost_nano_usd")
    writer.writerow([*fields, "latency_ms", *map(_cell, scorers)])
    for trial in results.trials:
        scores = scores_of(trial)
        values = [scores.get(name, {}).get("value", "") for name in scorers]
        variant = experiment.definition.variants[trial.variant].name
        known = (trial.number, trial.item_id, _cell(variant), trial.repetition, trial.run_id, trial.status)
        writer.writerow([*known, trial.error_code, trial.cost_nano_usd, trial.latency_ms, *values])
    return table.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def junit_of(experiment: Experiment, results: Results) -> str:
    """Return one test case for each item and scorer, and one for each verdict.

    A case of an item fails where the last variant scores less than the baseline, and is an error without a score.
    https://github.com/testmoapp/junitxml
    """
    root = Element("testsuites", name=_xml(experiment.name))
    verdicts = SubElement(root, "testsuite", name="verdicts")
    for result in results.verdicts:
        case = SubElement(verdicts, "testcase", classname=result.variant, name=result.scorer)
        if result.verdict is Verdict.WORSE:
            SubElement(case, "failure", message=_sentence(result.difference, result.interval))
        elif result.verdict is Verdict.INCONCLUSIVE:
            SubElement(case, "skipped", message="inconclusive")
    for number, variant in enumerate(experiment.definition.variants):
        suite = SubElement(root, "testsuite", name=variant.name)
        for trial in results.trials:
            if trial.variant == number:
                _add_cases(suite, experiment, trial)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _add_cases(suite: Element, experiment: Experiment, trial: Trial) -> None:
    scores = scores_of(trial)
    for scorer in experiment.definition.scorers:
        score = scores.get(scorer.name, {})
        milliseconds = trial.latency_ms or 0
        seconds = f"{milliseconds // 1_000}.{milliseconds % 1_000:03}"
        case = SubElement(suite, "testcase", classname=scorer.name, name=trial.item_id, time=seconds)
        value = value_of(trial, scorer.name)
        if value is None:
            message = str(score.get("error") or trial.error_code or "no score")
            SubElement(case, "error", message=_xml(message), type="error").text = trial.run_id
        elif value < 1:
            SubElement(case, "failure", message=f"scored {value:g}").text = trial.run_id


def _xml(text: str) -> str:
    """Return the text without characters that XML cannot contain."""
    return "".join(char if char >= " " or char in "\t\n" else "\ufffd" for char in text)


def markdown_of(experiment: Experiment, results: Results) -> str:
    """Return the verdicts and the numbers of the variants as tables."""
    return "\n".join([*_verdict_lines(experiment, results), "", *_variant_lines(experiment, results), ""])


def _verdict_lines(experiment: Experiment, results: Results) -> Iterator[str]:
    definition = experiment.definition
    yield f"# {_md(experiment.name)}"
    yield ""
    yield (
        f"{experiment.status}, {len(results.trials)} of {experiment.trials} trials, "
        f"confidence {definition.confidence:g}, minimum effect {definition.minimum_effect:g}, "
        f"{definition.stopping} stopping, seed {definition.seed}"
    )
    yield ""
    yield "| Variant | Scorer | Verdict | Difference | Interval | Items needed |"
    yield "|---|---|---|---|---|---|"
    for result in results.verdicts:
        difference = "" if result.difference is None else f"{result.difference:+.4f}"
        needed = result.needed_items or ""
        yield (
            f"| {_md(result.variant)} | {_md(result.scorer)} | **{result.verdict}** | {difference} "
            f"| {_shown(result.interval)} | {needed} |"
        )


def _variant_lines(experiment: Experiment, results: Results) -> Iterator[str]:
    yield "| Variant | Scorer | Trials | Errors | Mean | Interval | Cost (USD) | Latency (ms) |"
    yield "|---|---|---|---|---|---|---|---|"
    names = [variant.name for variant in experiment.definition.variants]
    for one in results.variants:
        cost = cost_of(results.trials, variant=names.index(one.variant))
        mean = "" if one.mean is None else f"{one.mean:.4f}"
        latency = "" if one.latency_ms is None else one.latency_ms
        yield (
            f"| {_md(one.variant)} | {_md(one.scorer)} | {one.trials} | {one.errors} | {mean} | {_shown(one.interval)} "
            f"| {usd_text(cost)} | {latency} |"
        )


def _shown(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:+.4f} … {interval.high:+.4f}"


def _md(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _sentence(difference: Rate | None, interval: Interval | None) -> str:
    return f"worse than the baseline by {abs(difference or 0):.4f} ({_shown(interval)})"
