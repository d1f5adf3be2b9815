"""AIN8xx: the size and the cost of a run."""

from collections.abc import Iterator

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.rules.reliability import DEFAULT_MAX_OUTPUT_TOKENS
from services.agents.lint_rules.domain.views import View
from shared.freejson import encode
from shared.money import NANO_PER_USD

_CONFIG = (TargetKind.CONFIG,)
_CHARS_PER_TOKEN = 4
"""Of English text. Other languages and code have fewer, so a prompt that is too long by this count certainly is."""
MAX_COST_NANO_USD = NANO_PER_USD
"""The worst-case cost of one call above which a config is reported: one dollar."""


def _prompt_tokens(view: View) -> int:
    sent = len(encode({name: view.config.get(name) for name in ("tools", "response_schema")}))
    return (view.prompt_chars + sent) // _CHARS_PER_TOKEN


def _cap(view: View) -> int:
    cap = view.config.get("max_output_tokens")
    return cap if isinstance(cap, int) else DEFAULT_MAX_OUTPUT_TOKENS


def _check_window(view: View) -> Iterator[Hit]:
    row, tokens = view.model.capabilities if view.model else None, _prompt_tokens(view)
    if row and row.context_tokens and tokens + _cap(view) > row.context_tokens and tokens > _cap(view):
        yield Hit(
            f"The prompt with its tools has about {tokens} tokens, and the window of {row.family} has "
            f"{row.context_tokens}, of which {_cap(view)} are for the output.",
            pointer="/system_prompt",
            suggestion="Shorten the prompt, or use a model with a larger window.",
        )


def _check_cost(view: View) -> Iterator[Hit]:
    model = view.model
    if model is None or view.config.get("price"):
        return
    cost = view.context.price(model.name.provider, model.name.model, _prompt_tokens(view), _cap(view))
    if cost is not None and cost > MAX_COST_NANO_USD:
        yield Hit(
            f"One call can cost {cost / NANO_PER_USD:.2f} USD by the list price, with the whole output cap of "
            f"{_cap(view)} tokens.",
            pointer="/max_output_tokens",
            suggestion="Lower `max_output_tokens`, use a smaller model, or pass `max_cost_usd` with each run.",
        )


RULES = (
    Rule(
        rule_id="AIN801",
        title="Prompt longer than the model's window",
        severity=Severity.ERROR,
        category=Category.PERFORMANCE,
        targets=_CONFIG,
        reason="The provider refuses every call.",
        guard="Four characters count as one token, which is fewer tokens than most texts have.",
        check=_check_window,
        bad={"model": "gpt-4", "system_prompt": "Read the whole manual. " * 1_000},
        good={"model": "gpt-4", "system_prompt": "Read the whole manual. " * 100},
    ),
    Rule(
        rule_id="AIN802",
        title="Expensive worst case",
        severity=Severity.WARNING,
        category=Category.COST,
        targets=_CONFIG,
        reason="A model that uses its whole output cap costs more than a dollar per call.",
        guard="Only the list price counts. A `price` of the config is the tenant's own decision.",
        check=_check_cost,
        bad={"model": "claude-opus-5-5", "max_output_tokens": 128_000},
        good={"model": "claude-opus-5-5", "max_output_tokens": 2_000},
    ),
)
