"""Differences of two environments: their templates are compared resource by resource and value by value."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from tests.infra.templates import Json, Templates

Path = tuple[str, ...]


def differences(left_templates: Templates, right_templates: Templates) -> set[str]:
    """Return the types of resources that only one has, and `type path.of.a.value` for each value that differs."""
    left, right = _resources(left_templates), _resources(right_templates)
    found = {_type(left, right, name) for name in left.keys() ^ right.keys()}
    for name in left.keys() & right.keys():
        kind, *_ = types = [left[name]["Type"], right[name]["Type"]]
        assert types == [kind, kind], name
        found |= {f"{kind} {'.'.join(path)}" for path in _paths(left[name], right[name])}
    return found | _differing_sections(left_templates, right_templates)


def _type(left: dict[str, Json], right: dict[str, Json], name: str) -> str:
    return str((left.get(name) or right[name])["Type"])


def _paths(left: Json, right: Json) -> set[Path]:
    """Return the paths of values that differ in two resources, without list indexes."""
    left_templates, right_templates = dict(_flat(left)), dict(_flat(right))
    changed = [
        path
        for path in left_templates.keys() | right_templates.keys()
        if left_templates.get(path) != right_templates.get(path)
    ]
    return {tuple(part for part in path if not part.isdecimal() and part[0] != "{") for path in changed}


def _resources(templates: Templates) -> dict[str, Json]:
    """Return all resources by stack and logical id, without names of the environment."""
    found: dict[str, Json] = {}
    for stack, template in templates.stacks.items():
        part = stack.partition("-")[0]
        for name, resource in template["Resources"].items():
            key = f"{part} {_without_environment(name, templates.environment)}"
            assert key not in found, key
            found[key] = json.loads(_without_environment(json.dumps(resource), templates.environment))
            found[key].pop("Metadata", None)
    return found


def _differing_sections(left_templates: Templates, right_templates: Templates) -> set[str]:
    """Return the other sections (outputs, parameters, …) that differ."""
    left, right = _sections(left_templates), _sections(right_templates)
    return {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}


def _sections(templates: Templates) -> dict[str, str]:
    return {
        f"{stack.partition('-')[0]} {name}": _without_environment(
            json.dumps(section, sort_keys=True), templates.environment
        )
        for stack, template in templates.stacks.items()
        for name, section in template.items()
        if name != "Resources"
    }


def _without_environment(text: str, environment: str) -> str:
    """Remove the environment's name, and the hashes that CDK makes from it."""
    named = re.sub(rf"(?<=AILab)([A-Za-z]+?){environment}(?!host)|\b{environment}(?!host)", r"\1ENV", text)
    return re.sub(r"(?<=[a-zA-Z])(?:[0-9A-F]{8})+(?![0-9a-z])|(?<=Deployment)[0-9a-f]{12}", "", named)


def _flat(value: Any, path: Path = ()) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 — JSON
    """Yield all values with their paths."""
    if isinstance(value, dict) and value:
        for name, inner in cast("Json", value).items():
            yield from _flat(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from _flat_list(cast("list[Any]", value), path)
    else:
        yield path, value


def _flat_list(values: list[Any], path: Path) -> Iterator[tuple[Path, object]]:
    """Flatten a list. Tags and statements have no order, so each is addressed by its content."""
    for index, inner in enumerate(values):
        if path[-1] == "Tags":
            yield (*path, inner["Key"]), inner["Value"]
        elif path[-1] == "Statement":
            yield (*path, _key_of_statement(inner), json.dumps(inner, sort_keys=True)), True
        else:
            yield from _flat(inner, (*path, str(index)))


def _key_of_statement(statement: Json) -> str:
    tests = sorted(name for test in statement.get("Condition", {}).values() for name in test)
    return " ".join([statement["Effect"], *tests])
