"""Writes what is published of the API into `docs/api`: `python -m infra.documents`."""

import json

from infra.bundle.target import ROOT
from infra.core.document import openapi
from infra.core.roles import roles_markdown
from infra.services import SERVICES

FOLDER = ROOT / "docs" / "api"


def documents() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "openapi.json": json.dumps(openapi(SERVICES), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
        "roles.md": roles_markdown(SERVICES),
    }


def write() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
