"""Structured output: an answer that conforms to a JSON Schema.

Schema and answer are the tenant's. A schema of 200 bytes can double the work with each level of the answer, so the
answer is bounded before it is decoded, and validated in a child process: only the run that exceeds the limits fails.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.runs.execution.domain import conformance
from services.runs.providers.domain.added_nulls import without_added_nulls
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.conversation import Message
from shared import freejson
from shared.freejson import NotAcceptable
from shared.sandbox import LimitExceeded, ProcessLimits, Sandbox

MAX_VALUES = 50_000
"""The maximum number of values in one answer. A decoded value takes up to 200 bytes of memory, and a model needs two
tokens or more for each."""
LIMITS = ProcessLimits(cpu_s=0.5, memory_bytes=192 * 1024 * 1024, wall_s=10.0)
"""The largest answer takes 0.1 s and 75 MB with an ordinary schema."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')

_sandbox = Sandbox(conformance.__name__, LIMITS)


class SchemaMismatch(Exception):
    """The answer is not acceptable JSON, or does not conform to the schema."""


class OutputTooComplex(SchemaMismatch):
    """The answer cannot be validated within the limits; a repair would cost as much again."""

    def __init__(self) -> None:
        super().__init__("The answer cannot be validated against the response schema within the limits for one run.")


def parse_structured(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 — whatever the schema allows
    """Return the data in an answer.

    Raises:
        SchemaMismatch: with the reason, in at most 500 characters, for the model to read.
        OutputTooComplex: the answer has too many values, or its validation exceeds the limits.
    """
    if _values_at_most(text) > MAX_VALUES and _values_at_most(_STRING.sub("", text)) > MAX_VALUES:
        raise OutputTooComplex
    try:
        written = freejson.loads(text)
        data = without_added_nulls(written, schema)
        if data != written:
            text = json.dumps(data)
        reason = _sandbox.call(conformance.request_of(text, json.dumps(schema)))
    except NotAcceptable as error:
        msg = f"The answer {error}"
        raise SchemaMismatch(msg[: conformance.ERROR_CHARS]) from error
    except LimitExceeded as error:
        raise OutputTooComplex from error
    if reason:
        raise SchemaMismatch(reason.decode())
    return data


def _values_at_most(text: str) -> int:
    """Return an upper bound: a comma, brace or bracket precedes each value but the outermost."""
    return 1 + text.count(",") + text.count("{") + text.count("[")


def repair_request(request: ModelRequest, text: str, error: SchemaMismatch) -> ModelRequest:
    """Return the request with the answer and its validation error appended to the conversation."""
    answer = Message("assistant", text)
    question = Message("user", f"This answer does not fit the schema: {error}. Answer again with JSON that does.")
    return replace(request, messages=(*request.messages, answer, question))
