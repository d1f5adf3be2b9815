"""AIN3xx: instructions that are unsafe, contradictory or without a bound."""

from collections.abc import Iterator

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View
from shared.patterns import Pattern, PatternMatch
from shared.template import Placeholder, placeholders

_SETTINGS = frozenset(
    {
        *(
            "company",
            "brand",
            "product",
            "organization",
            "organisation",
            "tenant",
            "team",
            "department",
            "agent",
            "bot",
        ),
        *("language", "locale", "country", "region", "city", "timezone", "currency", "date", "today", "time", "now"),
        *(
            "year",
            "month",
            "day",
            "tone",
            "style",
            "persona",
            "role",
            "format",
            "model",
            "version",
            "domain",
            "channel",
        ),
        *("assistant", "plan", "tier", "limit", "max", "min", "count", "number", "level", "mode", "unit", "units"),
    }
)
"""Words in names of variables that the developer sets, and no user writes."""
_FENCES = ("```", '"""', "'''", "###", "---", "===", "<<<", ">>>", "~~~")
_NEAR_CHARS = 40
_OPENING_TAG = Pattern(r"<([A-Za-z][A-Za-z0-9_-]{0,40})(?: [^<>]{0,80})?>\s*$")
_CLOSING_TAG = Pattern(r"^\s*</([A-Za-z][A-Za-z0-9_-]{0,40})>")

_BRIEF = Pattern(
    r"\b(?:be|keep|answer|respond|reply|write|give)\b[^.!?\n]{0,40}?\b"
    r"(?:brief(?:ly)?|concise(?:ly)?|terse(?:ly)?|short|one sentence|a single sentence|few words)\b",
    ignores_case=True,
)
_LONG = Pattern(
    r"\b(?:be|answer|respond|reply|write|give|explain|provide)\b[^.!?\n]{0,40}?\b"
    r"(?:detailed|in (?:great |full )?detail|comprehensive(?:ly)?|exhaustive(?:ly)?|elaborate|thorough(?:ly)?"
    r"|at length|long answers?)\b",
    ignores_case=True,
)
_ONLY_JSON = Pattern(
    r"\b(?:only|just|nothing but)\b[^.!?\n]{0,30}?\bjson\b|\bjson only\b|\bjson\b[^.!?\n]{0,20}\bnothing else\b",
    ignores_case=True,
)
_OTHER_FORMAT = Pattern(
    r"\b(?:use|with|in|as|format)\b[^.!?\n]{0,30}?\b(?:markdown|bullet points|html|plain text|a table|prose)\b",
    ignores_case=True,
)
_LANGUAGE = Pattern(
    r"\b(?:answer|respond|reply|write|speak)\b[^.!?\n]{0,30}?\b(?:only|always|exclusively)?\s?in "
    r"(English|German|French|Spanish|Italian|Portuguese|Dutch|Polish|Swedish|Finnish|Japanese|Chinese|Korean|Arabic|Hindi|Russian|Turkish)\b",
    ignores_case=True,
)
_ALWAYS = Pattern(r"\balways ((?:[a-z'-]+ ){0,4}[a-z'-]+)", ignores_case=True)
_NEVER = Pattern(r"\b(?:never|do not|don't|must not) ((?:[a-z'-]+ ){0,4}[a-z'-]+)", ignores_case=True)
_CONDITIONS = (
    " if ",
    " unless ",
    " except ",
    " when ",
    " otherwise",
    " only for ",
    " in case ",
    " until asked",
    " by default",
)
"""Words in a sentence after which its instruction does not hold in every case."""
_PHRASE_WORDS = 2
_UNBOUNDED = Pattern(
    r"\b(?:as long as (?:you (?:like|want|need|can)|possible)|no (?:length|word|token|size|time) limits?"
    r"|without (?:any )?(?:length |word |token |time )?limits?\b"
    r"|unlimited (?:length|words|tokens|detail|attempts|retries)"
    r"|(?:never|do not|don't) stop (?:until|before|generating|trying|searching|calling)"
    r"|(?:keep|continue) (?:trying|going|searching|calling|looping|retrying|iterating) (?:until|forever|indefinitely)"
    r"|(?:repeat|retry|loop|try)(?: \w+){0,3} (?:forever|indefinitely|endlessly"
    r"|until (?:it|you|they) (?:works?|succeeds?|find))"
    r"|as many (?:times|tool calls|calls|steps|searches|words|tokens|attempts) as"
    r" (?:needed|necessary|possible|you (?:want|like|need)))",
    ignores_case=True,
)
_BOUNDS = ("at most", "up to", "maximum", "no more than", "max ", "limit of", "not exceed", "fewer than", "less than")


def _sentence(text: str, found: PatternMatch) -> str:
    """Return the sentence around a match, in lower case."""
    start = max(text.rfind(mark, 0, found.start) for mark in (".", "!", "?", "\n")) + 1
    ends = [end for mark in (".", "!", "?", "\n") if (end := text.find(mark, found.end)) >= 0]
    return f" {text[start : min(ends, default=len(text))].lower()} "


def _is_setting(name: str) -> bool:
    return not _SETTINGS.isdisjoint(name.lower().split("_"))


def _is_delimited(text: str, place: Placeholder) -> bool:
    """Return whether the value has a tag of its own around it, or is alone between fences."""
    before = text[max(place.start - _NEAR_CHARS * 3, 0) : place.start]
    after = text[place.end : place.end + _NEAR_CHARS * 3]
    opened = next(_OPENING_TAG.find(before), None)
    closed = next(_CLOSING_TAG.find(after), None)
    if opened and closed and opened.group == closed.group:
        return True
    return any(before.rstrip().endswith(fence) and after.lstrip().startswith(fence[::-1]) for fence in _FENCES) or (
        _has_fence_line(before.rstrip(" "), last=True) and _has_fence_line(after, last=False)
    )


def _has_fence_line(text: str, *, last: bool) -> bool:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = (lines[-1] if last else lines[0]) if lines else ""
    return text[-1:] == "\n" and line.startswith(_FENCES) if last else text[:1] == "\n" and line.startswith(_FENCES)


def _check_placeholders(view: View) -> Iterator[Hit]:
    if not view.is_template:
        return
    for place in placeholders(view.text):
        if _is_setting(place.name) or _is_delimited(view.text, place):
            continue
        yield Hit(
            f"The value of {place.name} stands between instructions without delimiters, so the model can take its "
            "content for instructions.",
            start=place.start,
            end=place.end,
            suggestion=f"Put it between tags: <{place.name}>{{{{{place.name}}}}}</{place.name}>, and state that they "
            "contain data. Text of users belongs in the messages.",
            edit=f"<{place.name}>{{{{{place.name}}}}}</{place.name}>",
            identity=place.name,
        )


def _pair(first: PatternMatch, second: PatternMatch) -> Hit:
    return Hit(
        f"“{first.text}” contradicts “{second.text}”.",
        start=second.start,
        end=second.end,
        suggestion="Keep one of the two instructions, or state when each applies.",
        identity=f"{first.text.lower()}\n{second.text.lower()}",
    )


def _unconditional(text: str, pattern: Pattern) -> list[PatternMatch]:
    found = pattern.find(text, limit=20)
    return [one for one in found if not any(word in _sentence(text, one) for word in _CONDITIONS)]


def _opposites(text: str) -> Iterator[tuple[PatternMatch, PatternMatch]]:
    """Yield an unconditional “always” and a “never” about the same."""
    prohibited = {_phrase(one): one for one in _unconditional(text, _NEVER)}
    for one in _unconditional(text, _ALWAYS):
        phrase = _phrase(one)
        if len(phrase) >= _PHRASE_WORDS and phrase in prohibited:
            yield one, prohibited[phrase]


def _phrase(found: PatternMatch) -> tuple[str, ...]:
    return tuple(found.group.lower().split())


def _check_contradictions(view: View) -> Iterator[Hit]:
    text = view.text
    for one, other in ((_BRIEF, _LONG), (_ONLY_JSON, _OTHER_FORMAT)):
        first, second = _unconditional(text, one), _unconditional(text, other)
        if first and second and _sentence(text, first[0]) != _sentence(text, second[0]):
            yield _pair(first[0], second[0])
    languages = {found.group.lower(): found for found in reversed(_unconditional(text, _LANGUAGE))}
    if len(languages) > 1:
        first, *_, second = sorted(languages.values(), key=lambda found: found.start)
        yield _pair(first, second)
    yield from (_pair(one, other) for one, other in _opposites(text))


def _check_bounds(view: View) -> Iterator[Hit]:
    for found in _UNBOUNDED.find(view.text):
        if any(bound in _sentence(view.text, found) for bound in _BOUNDS):
            continue
        yield Hit(
            f"“{found.text}” sets no end, so the model can use its whole output cap or all tool turns.",
            start=found.start,
            end=found.end,
            suggestion="State a number: sentences, words, attempts or tool calls.",
            identity=found.text.lower(),
        )


def _check_braces(view: View) -> Iterator[Hit]:
    if view.is_template:
        return
    for place in placeholders(view.text):
        yield Hit(
            f"{view.text[place.start : place.end]} is not replaced in a text, and is sent to the model as it is.",
            start=place.start,
            end=place.end,
            suggestion="Store the text as a prompt and refer to it by `prompt_id`, or remove the braces.",
            identity=place.name,
        )


RULES = (
    Rule(
        rule_id="AIN301",
        title="Variable between instructions without delimiters",
        severity=Severity.WARNING,
        category=Category.SECURITY,
        targets=(TargetKind.PROMPT,),
        reason="A text of a user or of a document can contain instructions (prompt injection, OWASP LLM01).",
        guard="Variables that the developer sets are passed over by their names, such as `company` or `language`.",
        check=_check_placeholders,
        bad={"template": "Summarize this email: {{ email }} Then rate its tone."},
        good={"template": "Summarize the email for {{ company }}.\n<email>{{ email }}</email>\nThen rate its tone."},
    ),
    Rule(
        rule_id="AIN302",
        title="Contradictory instructions",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=(TargetKind.PROMPT,),
        reason="A model follows one of them, and not always the same.",
        guard="Instructions with a condition (`if`, `unless`, `when`, …) and those of one sentence are passed over.",
        check=_check_contradictions,
        bad={"model": "gpt-5.5", "system_prompt": "Keep answers brief. Explain each step in great detail."},
        good={"model": "gpt-5.5", "system_prompt": "Keep answers brief. If asked, explain each step in detail."},
    ),
    Rule(
        rule_id="AIN303",
        title="Instruction without an end",
        severity=Severity.WARNING,
        category=Category.COST,
        targets=(TargetKind.PROMPT,),
        reason="Output and tool turns cost money until a limit ends them.",
        guard="A number in the same sentence (`at most`, `up to`, …) is an end.",
        check=_check_bounds,
        bad={"model": "gpt-5.5", "system_prompt": "Call the search tool as many times as needed."},
        good={"model": "gpt-5.5", "system_prompt": "Call the search tool as many times as needed, at most five."},
    ),
    Rule(
        rule_id="AIN304",
        title="Placeholder in a text",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=(TargetKind.PROMPT,),
        reason="Only the variables of stored prompts are replaced.",
        guard="Braces with anything but a name between them are passed over, such as JSON.",
        check=_check_braces,
        bad={"model": "gpt-5.5", "system_prompt": "You support the customers of {{ company }}."},
        good={"model": "gpt-5.5", "system_prompt": 'Answer as {"company": {"name": "Acme"}}.'},
    ),
)
