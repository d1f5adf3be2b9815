"""Structured output: an answer that keeps a JSON Schema."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.runs.domain.request import Message, ModelRequest

_SHOWN = 500
"""Characters of an error that the model is shown."""


class DoesNotFit(Exception):
    """The answer is not JSON, or not what the schema says."""


def structured(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 — whatever the schema allows
    """The data in an answer.

    Raises:
        DoesNotFit: with the reason, for the model to read.
    """
    # A worker needs it for agents with a schema only.
    import jsonschema_rs

    try:
        data = json.loads(text)
        # Python reads numbers that JSON does not have.
        json.dumps(data, allow_nan=False)
        # A schema is the tenant's; nothing that it refers to may be fetched in our name.
        jsonschema_rs.validate(dict(schema), data, offline=True)
    except (ValueError, RecursionError) as error:
        raise DoesNotFit(str(error)[:_SHOWN]) from error
    return data


def repair(request: ModelRequest, text: str, error: DoesNotFit) -> ModelRequest:
    """The same request once more, with the answer and what is wrong with it."""
    said = Message("assistant", text)
    asked = Message("user", f"This answer does not fit the schema: {error}. Answer again with JSON that does.")
    return replace(request, messages=(*request.messages, said, asked))
