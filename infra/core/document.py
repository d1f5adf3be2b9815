"""The OpenAPI document that is shipped with core's function: of all services together."""

import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from infra.core.functions import API
from shared.declaration import Function, Service
from shared.http.app import HttpApp
from shared.http.openapi import document

PATH = "infra/core/openapi.json"
"""Where core's function looks for it."""


def openapi_json(services: Sequence[Service]) -> bytes:
    """The document as core's function has it."""
    return json.dumps(openapi(services), sort_keys=True).encode()


def openapi(services: Sequence[Service]) -> dict[str, Any]:
    """The document of core and of all functions that have routes."""
    functions = [API, *(function for service in services for function in service.functions if function.routes)]
    return document(app for function in functions for app in applications(function))


def applications(function: Function) -> list[HttpApp]:
    """The application of a function that has routes."""
    module, _, name = function.handler.rpartition(".")
    handler = getattr(import_module(module), name)
    return [handler] if isinstance(handler, HttpApp) else []
