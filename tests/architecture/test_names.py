"""Class names: one name for one thing."""

import ast
from collections import defaultdict

from tests.architecture.source import modules


def duplicates() -> set[str]:
    """Return the public class names of several subjects. A type and its schema in one capability are one subject."""
    subjects = defaultdict[str, set[str]](set)
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                subjects[node.name].add(_subject(module.path))
    return {name for name, found in subjects.items() if len(found) > 1}


def _subject(path: str) -> str:
    """Return the capability of a module of a service, or the module itself."""
    parts = path.split("/")
    return "/".join(parts[:3]) if parts[0] == "services" and len(parts) > 3 else path


def test_no_class_name_is_used_for_two_things() -> None:
    assert not duplicates()
