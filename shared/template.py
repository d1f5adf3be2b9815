"""Templates of prompts: text with `{{name}}` placeholders and no other syntax. `{{{{` is a literal `{{`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_VARIABLES = 100
"""The maximum number of names in one template."""
MAX_RENDERED_BYTES = 1024 * 1024
"""The maximum size of a rendered template in UTF-8, the same as that of a request body."""
NAME = r"[a-zA-Z_][a-zA-Z0-9_]{0,63}"
"""The pattern of the name of a variable."""
_TOKEN = re.compile(r"\{\{\{\{|\{\{ *(?P<name>" + NAME + r") *\}\}|\{\{")
_LITERAL = "{{{{"


class TemplateInvalid(ValueError):
    """A text is not a template.

    Args:
        reason: completes a sentence that begins with the name of the field.
        position: the number of code points before the defect.
    """

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(reason)
        self.position = position


class VariablesMismatch(ValueError):
    """The values do not fit the placeholders.

    Args:
        missing: the names without a value.
    """

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"there is no value for {', '.join(missing)}")
        self.missing = tuple(missing)


class RenderedTooLarge(ValueError):
    """The template and its values are too large together."""

    def __init__(self) -> None:
        super().__init__(f"the prompt with its variables is larger than {MAX_RENDERED_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place in a template where the value of a variable is inserted."""

    name: str
    start: int
    """The number of code points before its first brace."""
    end: int


def placeholders(template: str) -> Iterator[Placeholder]:
    """Yield the placeholders of a text. Braces that are no placeholder are passed over."""
    for token in _TOKEN.finditer(template):
        if token["name"]:
            yield Placeholder(token["name"], token.start(), token.end())


def variables_of(template: str) -> tuple[str, ...]:
    """Return the names of the placeholders of a template, each once, in the order of their first use.

    Raises:
        TemplateInvalid: a pair of braces is neither a placeholder nor a literal, or there are too many names.
    """
    for token in _TOKEN.finditer(template):
        if token[0] == "{{":
            line = template.count("\n", 0, token.start()) + 1
            column = token.start() - (template.rfind("\n", 0, token.start()) + 1) + 1
            reason = (
                f"has {{{{ without a name and }}}} at line {line}, column {column}; write {_LITERAL} for a literal {{{{"
            )
            raise TemplateInvalid(reason, token.start())
    names = tuple(dict.fromkeys(one.name for one in placeholders(template)))
    if len(names) > MAX_VARIABLES:
        reason = f"has more than {MAX_VARIABLES} variables"
        raise TemplateInvalid(reason)
    return names


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the template with the values in place of its placeholders. Values are inserted as they are.

    Raises:
        VariablesMismatch: a value is missing.
        RenderedTooLarge: the result would be too large. Nothing of that size is built.
    """
    used = list(placeholders(template))
    missing = [name for name in dict.fromkeys(one.name for one in used) if name not in values]
    if missing:
        raise VariablesMismatch(missing)
    sizes = {name: len(values[name].encode()) for name in {one.name for one in used}}
    if len(template.encode()) + sum(sizes[one.name] for one in used) > MAX_RENDERED_BYTES:
        raise RenderedTooLarge

    def replacement(token: re.Match[str]) -> str:
        return values[token["name"]] if token["name"] else "{{"

    return _TOKEN.sub(replacement, template)
