"""AIN4xx: the model and its parameters."""

from collections.abc import Iterator
from datetime import timedelta

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.models import ModelOfConfig, fallback_model
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View, no_price
from shared.models.capabilities import Parameter

_CONFIG = (TargetKind.CONFIG,)
_NOTICE = timedelta(days=90)
"""The time before the retirement of a model in which it is reported."""
_LISTED = frozenset({"openai", "anthropic"})
"""The providers of whose models the table has all families."""


def _check_known(view: View) -> Iterator[Hit]:
    model = view.model
    if model and model.name.provider in _LISTED and model.capabilities is None:
        yield Hit(
            f"The table of models has no row of {model.name.model}, so its window and parameters are not known.",
            pointer="/model",
            suggestion="Check the spelling. A model that is new works, but is not checked.",
        )


def _models(view: View) -> Iterator[tuple[str, ModelOfConfig]]:
    """Yield the model of a config and its fallbacks, with their pointers."""
    if view.model:
        yield "/model", view.model
    names = view.config.get("fallbacks")
    for number, name in enumerate(names if isinstance(names, list) else ()):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # any JSON
        if found := fallback_model(name):
            yield f"/fallbacks/{number}", found


def _retirements(view: View, *, is_over: bool) -> Iterator[Hit]:
    for pointer, model in _models(view):
        retires_on = model.capabilities.retires_on if model.capabilities else None
        if retires_on is None or retires_on > view.context.today + _NOTICE:
            continue
        if (retires_on <= view.context.today) is not is_over:
            continue
        verb = "has been retired since" if is_over else "retires on"
        fix = [{"op": "replace", "path": pointer, "value": model.replacement}] if model.replacement else []
        yield Hit(
            f"{model.name.model} {verb} {retires_on}.",
            pointer=pointer,
            suggestion=f"Use {model.replacement} instead." if model.replacement else "Use another model.",
            fix=fix,
            identity=model.name.model,
        )


def _check_retired(view: View) -> Iterator[Hit]:
    yield from _retirements(view, is_over=True)


def _check_retiring(view: View) -> Iterator[Hit]:
    yield from _retirements(view, is_over=False)


def _check_price(view: View) -> Iterator[Hit]:
    model = view.model
    if (
        model is None
        or view.context.price is no_price
        or model.name.provider == "simulated"
        or view.config.get("price")
        or (model.name.provider in _LISTED and model.capabilities is None)
    ):
        return
    if view.context.price(model.name.provider, model.name.model, 1, 1) is None:
        yield Hit(
            f"No list price of {model.name.model} is known, so runs have no cost and cannot have `max_cost_usd`.",
            pointer="/model",
            suggestion="Set `price` in the config.",
        )


def _check_refused(view: View) -> Iterator[Hit]:
    row = view.model.capabilities if view.model else None
    for parameter in Parameter:
        if row and parameter in row.refuses and view.config.get(parameter.value) is not None:
            yield Hit(
                f"{row.family} models refuse {parameter.value}. Runs are sent without it and show a warning.",
                pointer=f"/{parameter.value}",
                suggestion="Remove it.",
                fix=[{"op": "remove", "path": f"/{parameter.value}"}],
            )


def _check_sampling(view: View) -> Iterator[Hit]:
    row = view.model.capabilities if view.model else None
    has_both = view.config.get("temperature") is not None and view.config.get("top_p") is not None
    if row and row.takes_one_of_sampling and has_both:
        yield Hit(
            f"{row.family} models take either temperature or top_p.",
            pointer="/top_p",
            suggestion="Remove top_p.",
            fix=[{"op": "remove", "path": "/top_p"}],
        )


def _check_cap(view: View) -> Iterator[Hit]:
    row, cap = view.model.capabilities if view.model else None, view.config.get("max_output_tokens")
    if row and row.max_output_tokens and isinstance(cap, int) and cap > row.max_output_tokens:
        yield Hit(
            f"{row.family} models write at most {row.max_output_tokens} tokens.",
            pointer="/max_output_tokens",
            suggestion=f"Set at most {row.max_output_tokens}.",
            fix=[{"op": "replace", "path": "/max_output_tokens", "value": row.max_output_tokens}],
        )


def _check_abilities(view: View) -> Iterator[Hit]:
    row = view.model.capabilities if view.model else None
    if row and not row.tools and view.tools:
        yield Hit(f"{row.family} models have no tools.", pointer="/tools", suggestion="Use another model.")
    if row and not row.structured_output and view.config.get("response_schema"):
        yield Hit(
            f"{row.family} models have no structured output, so the schema is only an instruction.",
            pointer="/response_schema",
            suggestion="Use another model.",
        )


RULES = (
    Rule(
        rule_id="AIN401",
        title="Unknown model",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="A misspelled name fails with the first run.",
        guard="Servers of the tenant's own, Azure, Bedrock and the built-in provider have models of any name.",
        check=_check_known,
        bad={"model": "gpt-55"},
        good={"model": "my-llama", "provider": "openai", "base_url": "https://models.acme.io/v1"},
    ),
    Rule(
        rule_id="AIN402",
        title="Retired model",
        severity=Severity.ERROR,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="The provider no longer answers for this model, so runs fail or use a fallback.",
        guard="The date is the provider's own announcement. Azure and Bedrock have other dates, and are passed over.",
        check=_check_retired,
        bad={"model": "gpt-4"},
        good={"model": "bedrock/us.anthropic.claude-opus-4-1-20250805-v1:0"},
    ),
    Rule(
        rule_id="AIN403",
        title="Model that retires soon",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="The provider has announced the end of this model within 90 days.",
        guard="As for AIN402.",
        check=_check_retiring,
        bad={"model": "gpt-4o"},
        good={"model": "gpt-5.5"},
    ),
    Rule(
        rule_id="AIN404",
        title="Model without a price",
        severity=Severity.WARNING,
        category=Category.COST,
        targets=_CONFIG,
        reason="The cost of its runs is unknown, so no limit of cost can hold.",
        guard="A `price` of the config counts. Unknown models and servers of the tenant's own are passed over.",
        check=_check_price,
        bad={"model": "bedrock/unheard.of-model-v1:0"},
        good={
            "model": "bedrock/unheard.of-model-v1:0",
            "price": {"input_per_million_usd": "1", "output_per_million_usd": "2"},
        },
    ),
    Rule(
        rule_id="AIN405",
        title="Parameter that the model refuses",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="The parameter has no effect.",
        guard="Only parameters that the model's documentation excludes count.",
        check=_check_refused,
        bad={"model": "gpt-5.5", "temperature": 0.2},
        good={"model": "gpt-4.1", "temperature": 0.2},
    ),
    Rule(
        rule_id="AIN406",
        title="Both temperature and top_p",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="The model takes only one of the two.",
        guard="Models that take both are passed over.",
        check=_check_sampling,
        bad={"model": "claude-sonnet-4-6", "temperature": 0.2, "top_p": 0.9},
        good={"model": "gpt-4.1", "temperature": 0.2, "top_p": 0.9},
    ),
    Rule(
        rule_id="AIN407",
        title="Output cap above the model's",
        severity=Severity.ERROR,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="The provider refuses the call.",
        guard="Models without a documented maximum are passed over.",
        check=_check_cap,
        bad={"model": "gpt-4o", "max_output_tokens": 20_000},
        good={"model": "gpt-4o", "max_output_tokens": 16_384},
    ),
    Rule(
        rule_id="AIN408",
        title="Ability that the model lacks",
        severity=Severity.ERROR,
        category=Category.BEST_PRACTICE,
        targets=_CONFIG,
        reason="Tools are refused, and a schema is not enforced.",
        guard="Models without a row in the table are passed over.",
        check=_check_abilities,
        bad={"model": "o1-mini", "tools": [{"name": "search", "description": "Searches the help pages."}]},
        good={"model": "o3-mini", "tools": [{"name": "search", "description": "Searches the help pages."}]},
    ),
)
