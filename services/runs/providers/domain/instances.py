"""JSON values that fit a JSON Schema, for simulated answers and tool arguments.

The schema is the tenant's, and a small one can describe values without end. So the value is built in a child process
with limits, and every failure names its reason.
"""

import json
from collections.abc import Mapping
from typing import Any

from services.runs.providers.domain import instance_child
from shared.sandbox import LimitExceeded, ProcessLimits, Sandbox

LIMITS = ProcessLimits(cpu_s=0.5, memory_bytes=256 * 1024 * 1024, wall_s=10.0)
"""A schema of 64 KB takes 0.3 s at most, unless its values grow without end."""

_sandbox = Sandbox(instance_child.__name__, LIMITS)


class NoInstance(Exception):
    """There is no value that fits the schema, or none was found within the limits.

    Args:
        reason: completes a sentence that begins with the name of the schema.
    """


def instance_of(schema: Mapping[str, Any]) -> str:
    """Return a value that fits the schema, as JSON. The same schema has always the same value.

    Raises:
        NoInstance: no value fits the schema, or none was found within the limits.
    """
    try:
        response = json.loads(_sandbox.call(json.dumps(schema).encode()))
    except LimitExceeded as error:
        msg = "is too complex: building a value exceeds the limits for one answer"
        raise NoInstance(msg) from error
    if response["reason"]:
        raise NoInstance(response["reason"])
    return response["value"]


def arguments_of(parameters: Mapping[str, Any]) -> str:
    """Return arguments that fit a tool's parameters, as a JSON object.

    Raises:
        NoInstance: there are none, or none were found within the limits.
    """
    types = parameters.get("type", ["object"])
    is_object = types == "object" or (isinstance(types, list) and "object" in types)
    arguments = instance_of({**parameters, "type": "object"} if is_object else parameters)
    if not arguments.startswith("{"):
        msg = "admits no object"
        raise NoInstance(msg)
    return arguments
