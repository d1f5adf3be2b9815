"""The generated documents of the mesh. A test compares them with the code."""

import json
from collections.abc import Mapping

from infra.bundle.target import ROOT
from infra.core.document import openapi
from infra.core.roles import roles_markdown
from infra.documents.asyncapi import asyncapi
from infra.documents.costs import costs_markdown
from infra.documents.events import events_markdown
from infra.documents.lint import lint_markdown
from infra.documents.routes import routes_markdown
from infra.documents.variables import variables_markdown
from infra.services import SERVICES

FOLDER = ROOT / "docs"


def documents() -> dict[str, str]:
    """Return every page by its path in `docs`."""
    description = openapi(SERVICES)
    return {
        "api/openapi.json": _json(description),
        "api/routes.md": routes_markdown(description),
        "api/roles.md": roles_markdown(SERVICES),
        "api/asyncapi.json": _json(asyncapi(SERVICES)),
        "api/events.md": events_markdown(SERVICES),
        "api/variables.md": variables_markdown(),
        "costs.md": costs_markdown(),
        "reference/lint.md": lint_markdown(),
    }


def write() -> None:
    """Write all pages."""
    for name, text in documents().items():
        (FOLDER / name).write_text(text)


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
