"""A document that a generator misunderstands is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.clients import NotGenerated, generate_python

COLLISION: dict[str, Any] = {
    "Thing": {"type": "object", "properties": {"config": {"type": "object", "properties": {"a": {"type": "string"}}}}},
    "ThingConfig": {"type": "object", "properties": {"b": {"type": "integer"}}},
}


def generate(folder: Path, schemas: dict[str, Any]) -> None:
    """Generate a client of an API with these schemas."""
    document = {"openapi": "3.1.0", "info": {"title": "Things", "version": "1"}, "paths": {}}
    path = folder / "openapi.json"
    path.write_text(json.dumps(document | {"components": {"schemas": schemas}}))
    generate_python(path, folder / "client")


def test_colliding_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotGenerated, match="ThingConfig"):
        generate(tmp_path, COLLISION)


def test_the_package_has_a_model_of_each_schema(tmp_path: Path) -> None:
    generate(tmp_path, {"ThingConfig": COLLISION["ThingConfig"]})
    assert (tmp_path / "client" / "ainexus_client" / "models" / "thing_config.py").is_file()
