"""Core's own HTTP function: whether the mesh answers, and what it can be asked."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response

from shared.http.answers import Answer, ok
from shared.http.app import HttpApp
from shared.http.call import CurrentCall
from shared.http.openapi import VERSION
from shared.times import to_text

app = HttpApp()


class Health(Answer):
    """The mesh answers."""

    status: str
    timestamp: str
    environment: str
    version: str


@app.route("GET", "/v1/health", least=None)
def health(call: CurrentCall) -> Response[Health]:
    """Whether the API answers."""
    environment = os.environ["ENVIRONMENT"]
    return ok(Health(status="healthy", timestamp=to_text(call.now), environment=environment, version=VERSION))


@app.route("GET", "/v1/openapi.json", least=None)
def openapi() -> dict[str, Any]:
    """The OpenAPI document of the whole mesh."""
    return _document()


@cache
def _document() -> dict[str, Any]:
    """Written into the bundle when it is made."""
    return json.loads((Path(__file__).parent / "openapi.json").read_bytes())


handler = app
