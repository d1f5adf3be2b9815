"""Scorers: each rates the result of a trial with a value between 0 and 1, or states an error.

Patterns of tenants are matched by RE2 in linear time. Schemas are applied in a child process with limits. Texts that
are compared are bounded.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from services.runs.datasets.domain.items import Item
from services.runs.experiments.domain.experiment import Scorer
from services.runs.experiments.domain.trials import Score, TrialOutcome
from shared.patterns import Pattern

MAX_COMPARED_CHARS = 20_000
"""The characters of each text that `similarity` compares; its time grows with their product."""


class Unscorable(ValueError):
    """A scorer cannot rate this outcome; the message names the reason."""


def score_all(
    scorers: Sequence[Scorer], item: Item, outcome: TrialOutcome, check_schema: "CheckSchema"
) -> dict[str, Score]:
    """Return the score of each scorer. A failure of one does not affect the others."""
    return {scorer.name: _score(scorer, item, outcome, check_schema) for scorer in scorers}


CheckSchema = Callable[[Mapping[str, Any], str], bool]
"""Returns whether a text is JSON that conforms to a schema, within limits of its own."""


def _score(scorer: Scorer, item: Item, outcome: TrialOutcome, check_schema: CheckSchema) -> Score:
    try:
        if scorer.type == "json_schema":
            return Score(float(check_schema(scorer.parameters["json_schema"], _json_text(outcome))))
        return Score(min(1.0, max(0.0, SCORERS[scorer.type](scorer.parameters, item, outcome))))
    except Unscorable as error:
        return Score(error=str(error))


def _exact(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    normalize = _normalizer(parameters)
    return float(normalize(outcome.message) in {normalize(text) for text in _expected_texts(item)})


def _contains(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    normalize = _normalizer(parameters)
    wanted = [str(parameters["text"])] if parameters.get("text") else _expected_texts(item)
    return float(any(normalize(text) in normalize(outcome.message) for text in wanted))


def _regex(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:  # noqa: ARG001 — as all scorers
    return float(Pattern(str(parameters["pattern"])).is_in(outcome.message))


def _json_equal(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    if item.expected is None:
        raise Unscorable(_NOTHING_EXPECTED)
    found, expected = _json_of(outcome), item.expected
    paths = cast("list[str]", parameters.get("paths") or [])
    if not paths:
        return float(found == expected)
    return sum(_at(found, path) == _at(expected, path) for path in paths) / len(paths)


def _numeric(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    found = re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?", outcome.message[:MAX_COMPARED_CHARS])
    try:
        expected = float(str(item.expected))
    except ValueError as error:
        msg = "The expected output is not a number."
        raise Unscorable(msg) from error
    if not found:
        return 0.0
    allowed = max(
        float(parameters.get("absolute_tolerance", 0)), abs(expected) * float(parameters.get("relative_tolerance", 0))
    )
    return float(abs(float(found[-1].replace(",", "")) - expected) <= allowed)


def _similarity(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    from rapidfuzz import fuzz  # Only an experiment with this scorer needs it.

    normalize = _normalizer(parameters)
    texts = [normalize(text)[:MAX_COMPARED_CHARS] for text in _expected_texts(item)]
    return max(fuzz.ratio(normalize(outcome.message)[:MAX_COMPARED_CHARS], text) for text in texts) / 100


def _latency_ms(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:  # noqa: ARG001 — as all scorers
    return float(outcome.latency_ms <= int(parameters["max"]))


def _cost_usd(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:  # noqa: ARG001 — as all scorers
    passes = outcome.costs_at_most(str(parameters["max"]))
    if passes is None:
        msg = "The cost of the run is unknown."
        raise Unscorable(msg)
    return float(passes)


def _tool_calls(parameters: Mapping[str, Any], item: Item, outcome: TrialOutcome) -> float:
    """Compare the calls with `expected`, a list of names or of objects with `name` and `arguments`."""
    if not isinstance(item.expected, list):
        msg = "The expected output is not a list of tool calls."
        raise Unscorable(msg)
    found = [(name, _arguments(text)) for name, text in outcome.tool_calls]
    expected = [_expected_call(call) for call in cast("list[object]", item.expected)]
    if parameters.get("any_order"):
        found.sort(key=repr)
        expected.sort(key=repr)
    same = len(found) == len(expected) and all(
        name == wanted and (arguments is None or given == arguments)
        for (name, given), (wanted, arguments) in zip(found, expected, strict=True)
    )
    return float(same)


SCORERS: Mapping[str, Callable[[Mapping[str, Any], Item, TrialOutcome], float]] = {
    "exact": _exact,
    "contains": _contains,
    "regex": _regex,
    "json_equal": _json_equal,
    "numeric": _numeric,
    "similarity": _similarity,
    "latency_ms": _latency_ms,
    "cost_usd": _cost_usd,
    "tool_calls": _tool_calls,
}
"""All types but `json_schema`, which needs a child process."""
_NOTHING_EXPECTED = "The item has no expected output."


def _normalizer(parameters: Mapping[str, Any]) -> Callable[[str], str]:
    ignores_case, ignores_space = parameters.get("ignore_case", False), parameters.get("ignore_whitespace", True)
    ignores_punctuation = parameters.get("ignore_punctuation", False)

    def normalize(text: str) -> str:
        changed = unicodedata.normalize("NFC", text)
        changed = changed.casefold() if ignores_case else changed
        if ignores_punctuation:
            changed = "".join(char for char in changed if not unicodedata.category(char).startswith("P"))
        return " ".join(changed.split()) if ignores_space else changed

    return normalize


def _expected_texts(item: Item) -> list[str]:
    """Return the accepted texts: the expected one, or each of a list."""
    match item.expected:
        case None:
            raise Unscorable(_NOTHING_EXPECTED)
        case str():
            return [item.expected]
        case [*several] if several and all(isinstance(one, str) for one in cast("list[object]", several)):
            return cast("list[str]", several)
        case other:
            return [json.dumps(other, ensure_ascii=False, sort_keys=True)]


def _json_text(outcome: TrialOutcome) -> str:
    return outcome.message if outcome.data is None else json.dumps(outcome.data)


def _json_of(outcome: TrialOutcome) -> Any:  # noqa: ANN401 — any JSON
    if outcome.data is not None:
        return outcome.data
    try:
        return json.loads(outcome.message)
    except (ValueError, RecursionError):
        return _NOT_JSON


_NOT_JSON = object()
"""Equal to no JSON."""
_MISSING = object()


def _at(value: Any, path: str) -> Any:  # noqa: ANN401 — any JSON
    """Return the value at a JSON Pointer (RFC 6901); a missing one equals only another missing one."""
    for part in path.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = cast("dict[str, Any]", value)[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(name)]
        else:
            return _MISSING
    return value


def _arguments(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _expected_call(call: object) -> tuple[str, object]:
    if isinstance(call, str):
        return call, None
    if isinstance(call, dict) and "name" in call:
        described = cast("dict[str, Any]", call)
        return str(described["name"]), described.get("arguments")
    msg = "An expected tool call is neither a name nor an object with a name."
    raise Unscorable(msg)
