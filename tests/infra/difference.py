"""In what two environments differ: their templates compared resource by resource, and each down to its last value."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from tests.infra.templates import Json, Templates

Path = tuple[str, ...]


def differences(one: Templates, other: Templates) -> set[str]:
    """Types of which only one has a resource, and `type path.of.a.value` where the values differ."""
    here, there = _resources(one), _resources(other)
    found = {_type(here, there, name) for name in here.keys() ^ there.keys()}
    for name in here.keys() & there.keys():
        kind, *_ = types = [here[name]["Type"], there[name]["Type"]]
        assert types == [kind, kind], name
        found |= {f"{kind} {'.'.join(path)}" for path in _paths(here[name], there[name])}
    return found | _outside(one, other)


def _type(here: dict[str, Json], there: dict[str, Json], name: str) -> str:
    return str((here.get(name) or there[name])["Type"])


def _paths(here: Json, there: Json) -> set[Path]:
    """Where two resources differ; a place in a list has no number."""
    one, other = dict(_flat(here)), dict(_flat(there))
    changed = [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]
    return {tuple(part for part in path if not part.isdecimal() and part[0] != "{") for path in changed}


def _resources(templates: Templates) -> dict[str, Json]:
    """All resources, by stack and logical id, without what names the environment."""
    found: dict[str, Json] = {}
    for stack, template in templates.stacks.items():
        part = stack.partition("-")[0]
        for name, resource in template["Resources"].items():
            key = f"{part} {_neutral(name, templates.environment)}"
            assert key not in found, key
            found[key] = json.loads(_neutral(json.dumps(resource), templates.environment))
            found[key].pop("Metadata", None)
    return found


def _outside(one: Templates, other: Templates) -> set[str]:
    """Sections beside the resources (outputs, parameters, …) that differ."""
    here, there = _sections(one), _sections(other)
    return {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}


def _sections(templates: Templates) -> dict[str, str]:
    return {
        f"{stack.partition('-')[0]} {name}": _neutral(json.dumps(section, sort_keys=True), templates.environment)
        for stack, template in templates.stacks.items()
        for name, section in template.items()
        if name != "Resources"
    }


def _neutral(text: str, environment: str) -> str:
    """A text without the environment's name and without the hashes that CDK makes from it."""
    named = re.sub(rf"(?<=AILab)([A-Za-z]+?){environment}(?!host)|\b{environment}(?!host)", r"\1ENV", text)
    return re.sub(r"(?<=[a-zA-Z])(?:[0-9A-F]{8})+(?![0-9a-z])|(?<=Deployment)[0-9a-f]{12}", "", named)


def _flat(value: Any, path: Path = ()) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 — JSON
    """All values with the way to each."""
    if isinstance(value, dict) and value:
        for name, inner in cast("Json", value).items():
            yield from _flat(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from _flat_list(cast("list[Any]", value), path)
    else:
        yield path, value


def _flat_list(values: list[Any], path: Path) -> Iterator[tuple[Path, object]]:
    """The order of tags and statements means nothing, so each goes by what it says."""
    for index, inner in enumerate(values):
        if path[-1] == "Tags":
            yield (*path, inner["Key"]), inner["Value"]
        elif path[-1] == "Statement":
            yield (*path, _title(inner), json.dumps(inner, sort_keys=True)), True
        else:
            yield from _flat(inner, (*path, str(index)))


def _title(statement: Json) -> str:
    tests = sorted(name for test in statement.get("Condition", {}).values() for name in test)
    return " ".join([statement["Effect"], *tests])
