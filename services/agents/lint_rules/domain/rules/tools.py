"""AIN6xx: tools."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import View, escaped

_TOOL = (TargetKind.TOOL,)
_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _check_schema(view: View) -> Iterator[Hit]:
    found = view.document.get("parameters")
    if not isinstance(found, Mapping) or not found:
        return
    schema = cast("Mapping[str, Any]", found)
    if "$ref" not in schema and schema.get("type") != "object":
        yield Hit(
            "The arguments of a tool are an object, and its schema describes something else.",
            pointer="/parameters",
            suggestion="Set `type` to `object` and describe the arguments in `properties`.",
            identity="type",
        )
        return
    properties, required = schema.get("properties"), schema.get("required")
    known: Mapping[str, Any] = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
    names = cast("list[object]", required) if isinstance(required, list) else []
    for number, name in enumerate(names):
        if isinstance(name, str) and name not in known and "$ref" not in schema:
            yield Hit(
                f"The argument {name} is required but not described.",
                pointer=f"/parameters/required/{number}",
                suggestion=f"Describe it in `properties`, or remove it from `required`: /properties/{escaped(name)}.",
                identity=name,
            )


def _check_description(view: View) -> Iterator[Hit]:
    if not str(view.document.get("description") or "").strip():
        yield Hit(
            f"The tool {view.document.get('name')} has no description, by which the model decides about its use.",
            suggestion="State in a sentence what the tool returns and when to use it.",
            identity=str(view.document.get("name")),
        )


def _check_same_description(view: View) -> Iterator[Hit]:
    description = str(view.document.get("description") or "").strip()
    if not description:
        return
    earlier = view.tools[: int(view.pointer.rpartition("/")[2])]
    same = next((tool for tool in earlier if str(tool.get("description") or "").strip() == description), None)
    if same:
        yield Hit(
            f"The tools {same.get('name')} and {view.document.get('name')} have the same description.",
            pointer="/description",
            suggestion="State what distinguishes them.",
            identity=str(view.document.get("name")),
        )


RULES = (
    Rule(
        rule_id="AIN601",
        title="Invalid schema of a tool",
        severity=Severity.ERROR,
        category=Category.BEST_PRACTICE,
        targets=_TOOL,
        reason="Providers refuse such a tool, or the model cannot fill its arguments.",
        guard="Tools without arguments and schemas with `$ref` are passed over.",
        check=_check_schema,
        bad={
            "model": "gpt-5.5",
            "tools": [{"name": "a", "description": "Looks it up.", "parameters": {"type": "string"}}],
        },
        good={"model": "gpt-5.5", "tools": [{"name": "a", "description": "Looks it up.", "parameters": _OBJECT}]},
    ),
    Rule(
        rule_id="AIN602",
        title="Tool without a description",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_TOOL,
        reason="The model chooses tools by their descriptions.",
        guard="Any text counts.",
        check=_check_description,
        bad={"model": "gpt-5.5", "tools": [{"name": "weather", "parameters": _OBJECT}]},
        good={
            "model": "gpt-5.5",
            "tools": [{"name": "weather", "description": "Today's weather.", "parameters": _OBJECT}],
        },
    ),
    Rule(
        rule_id="AIN603",
        title="Tools with the same description",
        severity=Severity.WARNING,
        category=Category.BEST_PRACTICE,
        targets=_TOOL,
        reason="The model cannot know which of them to call.",
        guard="Only equal texts count.",
        check=_check_same_description,
        bad={"model": "gpt-5.5", "tools": [{"name": one, "description": "Searches."} for one in ("a", "b")]},
        good={"model": "gpt-5.5", "tools": [{"name": one, "description": f"Searches {one}."} for one in ("a", "b")]},
    ),
)
