"""The parts of a document that rules examine.

A rule declares the kind of its views, and a document has any number of views of each kind. A further kind of document,
such as the items of a dataset, needs a function that yields its views, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from services.agents.lint_rules.domain.finding import TargetKind
from services.agents.lint_rules.domain.models import ModelOfConfig, model_of

Price = Callable[[str, str, int, int], int | None]
"""Returns the list price in nano-USD of a call: provider, model, input tokens, output tokens. None: unknown."""
MAX_TEXTS = 5_000
"""The number of texts of a config that are searched. Larger configs are refused before they are stored."""


def no_price(_provider: str, _model: str, _tokens_in: int, _tokens_out: int) -> None:
    """Return no price: for lints without a price table."""


@dataclass(frozen=True, slots=True)
class LintContext:
    """The facts that rules know besides the document."""

    today: date
    price: Price = no_price
    template: str | None = None
    """The template of the stored prompt that a config refers to."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a document."""

    pointer: str
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """One part of a document."""

    kind: TargetKind
    value: Any
    """The config, the text of the prompt, the tool, or the schema."""
    pointer: str
    """Its JSON Pointer, from the root of the document."""
    context: LintContext
    config: Mapping[str, Any]
    """The whole config; empty for a prompt."""
    is_template: bool = False
    """Whether the text of a prompt is a template, whose placeholders are replaced."""
    is_stored: bool = False
    """Whether it is a stored prompt that a config refers to, which has findings of its own."""

    @property
    def text(self) -> str:
        """The text of a prompt."""
        return str(self.value)

    @property
    def document(self) -> Mapping[str, Any]:
        """The config, the tool or the schema."""
        return cast("Mapping[str, Any]", self.value)

    @property
    def model(self) -> ModelOfConfig | None:
        """The model of the config; None if it is unknown or a server of the tenant's own has it."""
        return model_of(self.config)

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The tools of the config."""
        return tools_of(self.config)

    @property
    def prompt_chars(self) -> int:
        """The length of the config's system prompt."""
        return len(prompt_of(self.config, self.context) or "")

    def texts(self) -> Iterator[Text]:
        """Yield all texts of the part with their pointers from its root."""
        yield from _texts("", self.value)


def views_of_config(config: Mapping[str, Any], context: LintContext) -> Iterator[View]:
    """Yield the views of an agent's config."""
    yield View(TargetKind.CONFIG, config, "", context, config)
    prompt = prompt_of(config, context)
    if prompt is not None:
        is_stored = not isinstance(config.get("system_prompt"), str)
        pointer = "/system_prompt"
        yield View(TargetKind.PROMPT, prompt, pointer, context, config, is_template=is_stored, is_stored=is_stored)
    for number, tool in enumerate(tools_of(config)):
        yield View(TargetKind.TOOL, tool, f"/tools/{number}", context, config)
    schema = config.get("response_schema")
    if isinstance(schema, Mapping):
        yield View(TargetKind.SCHEMA, schema, "/response_schema", context, config)


def views_of_template(template: str, context: LintContext) -> Iterator[View]:
    """Yield the view of a stored prompt."""
    yield View(TargetKind.PROMPT, template, "/template", context, {}, is_template=True)


def prompt_of(config: Mapping[str, Any], context: LintContext) -> str | None:
    """Return the text of a config's system prompt, or the template that it refers to."""
    prompt = config.get("system_prompt")
    if isinstance(prompt, Mapping):
        return context.template
    return prompt if isinstance(prompt, str) else None


def tools_of(config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the tools of a config."""
    tools = config.get("tools")
    found = cast("list[object]", tools) if isinstance(tools, list) else []
    return [cast("Mapping[str, Any]", tool) for tool in found if isinstance(tool, Mapping)]


def _texts(pointer: str, value: object) -> Iterator[Text]:
    waiting: list[tuple[str, object]] = [(pointer, value)]
    left = MAX_TEXTS
    while waiting and left:
        place, one = waiting.pop()
        if isinstance(one, str):
            left -= 1
            yield Text(place, one)
        elif isinstance(one, Mapping):
            named = cast("dict[str, object]", one)
            waiting += ((f"{place}/{escaped(name)}", inner) for name, inner in reversed([*named.items()]))
        elif isinstance(one, list):
            listed = cast("list[object]", one)
            waiting += ((f"{place}/{number}", listed[number]) for number in reversed(range(len(listed))))


def escaped(name: str) -> str:
    """Return a name as a part of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
