"""The OpenAPI document that is shipped with core's function: of all services together."""

import json
from collections.abc import Sequence
from importlib import import_module

from infra.core.functions import API
from shared.declaration import Function, Service
from shared.http.app import HttpApp
from shared.http.openapi import document

PATH = "infra/core/openapi.json"
"""Where core's function looks for it."""


def openapi_json(services: Sequence[Service]) -> bytes:
    """The document of core and of all functions that have routes."""
    functions = [API, *(function for service in services for function in service.functions if function.routes)]
    return json.dumps(document(app for function in functions for app in _apps(function)), sort_keys=True).encode()


def _apps(function: Function) -> list[HttpApp]:
    module, _, name = function.handler.rpartition(".")
    handler = getattr(import_module(module), name)
    return [handler] if isinstance(handler, HttpApp) else []
