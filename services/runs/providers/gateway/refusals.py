"""The parameters that a provider's error names as unsupported."""

import re
from collections.abc import Mapping
from typing import Any, cast

from services.runs.providers.domain.parameters import RefusedParameters
from shared.models.capabilities import Parameter

_STATUSES = frozenset({400, 422})
_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
"""OpenAI's codes of errors whose `param` is the name of the parameter."""
_NAMES: dict[str, Parameter] = {
    "temperature": Parameter.TEMPERATURE,
    "top_p": Parameter.TOP_P,
    "topP": Parameter.TOP_P,
    "stop": Parameter.STOP,
    "stop_sequences": Parameter.STOP,
    "stopSequences": Parameter.STOP,
    "seed": Parameter.SEED,
    "tool_choice": Parameter.TOOL_CHOICE,
    "toolChoice": Parameter.TOOL_CHOICE,
    "parallel_tool_calls": Parameter.PARALLEL_TOOL_CALLS,
    "disable_parallel_tool_use": Parameter.PARALLEL_TOOL_CALLS,
}
_CAPS = ("max_completion_tokens", "max_tokens")
_REFUSED = re.compile(
    r"not support|n't support|unsupported|deprecated|not permitted|not allowed|unrecogni[sz]ed|unknown (?:parameter|"
    r"field|name)|unexpected keyword|only \S+ is allowed|cannot both be specified",
    re.IGNORECASE,
)
_EXCLUSIVE = re.compile("cannot both be specified", re.IGNORECASE)
_QUOTES = "`'\""


def unsupported_names(status: int, body: object, message: str) -> tuple[str, ...]:
    """Return the names of the parameters that this error refuses; none if it has another reason.

    Args:
        status: the HTTP status.
        body: the body of the error.
        message: the provider's message.
    """
    if status not in _STATUSES:
        return ()
    names = (*_NAMES, *_CAPS)
    fields = _error_fields(body)
    if fields.get("code") in _CODES and fields.get("param") in names:
        return (str(fields["param"]),)
    if not _REFUSED.search(message):
        return ()
    named = tuple(name for name in names if _is_named(name, message))
    # Only one of both must go, and the temperature is the better known one.
    return tuple(name for name in named if _NAMES.get(name) is Parameter.TOP_P) if _EXCLUSIVE.search(message) else named


def refusal_of(names: tuple[str, ...]) -> RefusedParameters:
    """Return the refusal of these names."""
    parameters = dict.fromkeys(_NAMES[name] for name in names if name in _NAMES)
    return RefusedParameters(tuple(parameters), cap=any(name in _CAPS for name in names))


def _is_named(name: str, message: str) -> bool:
    """Return whether the message names the parameter: in quotes, as a field, or before a colon."""
    quoted = f"[{_QUOTES}]{name}[{_QUOTES}]"
    as_field = rf"\b{name}(?: field| parameter| is (?:deprecated|not)|:)"
    after_kind = rf"(?:parameter|field|argument|invalid):? {name}\b"
    return re.search(f"{quoted}|{as_field}|{after_kind}", message) is not None


def _error_fields(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        return {}
    fields = cast("Mapping[str, Any]", body)
    inner = fields.get("error")
    return cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else fields
