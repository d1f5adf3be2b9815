"""The OpenAPI document of all services, which is generated when the function is built."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from shared.http.router import Router

router = Router()

FILE = Path(__file__).with_name("openapi.json")
"""Where the document is in the function's bundle."""


@router.route("GET", "/v1/openapi.json", min_role=None)
def get_openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the whole mesh."""
    return _document()


@cache
def _document() -> dict[str, Any]:
    return json.loads(FILE.read_bytes())
