"""The parameters of a request that its model and API accept."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from services.runs.errors import ToolChoiceImpossible
from services.runs.providers.domain.model_rows import kind_of
from services.runs.providers.domain.request import Api, ModelRequest
from shared.models.capabilities import Parameter, capabilities_of
from shared.models.hosts import HostKind

_NOT_IN_API: dict[Api, frozenset[Parameter]] = {
    "responses": frozenset({Parameter.STOP, Parameter.SEED}),
    "messages": frozenset({Parameter.SEED}),
    "converse": frozenset({Parameter.SEED, Parameter.PARALLEL_TOOL_CALLS}),
    "chat": frozenset(),
}
"""Parameters that an API does not have."""
_ABSENT: dict[Parameter, Any] = {
    Parameter.TEMPERATURE: None,
    Parameter.TOP_P: None,
    Parameter.STOP: (),
    Parameter.SEED: None,
    Parameter.TOOL_CHOICE: None,
    Parameter.PARALLEL_TOOL_CALLS: None,
}
CapParameter = Literal["max_tokens", "max_completion_tokens"]
_OTHER_CAP: dict[CapParameter, CapParameter] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}


def refused_by(request: ModelRequest) -> tuple[Parameter, ...]:
    """Return the parameters that the request's model refuses or its API does not have, in a fixed order.

    A model at a server of the tenant's own is unknown. For a simulated answer, the rules of the model that it replaces
    apply, so that the effect of a config can be tried.
    """
    replaced = replace(request, provider=request.priced_as or request.provider)
    refused: set[Parameter] = set() if replaced.provider == "simulated" else set(_NOT_IN_API[api_of(replaced)])
    row = replaced.row
    if row:
        refused |= set(row.refuses)
        if row.takes_one_of_sampling and request.temperature is not None:
            refused.add(Parameter.TOP_P)
    return tuple(parameter for parameter in Parameter if parameter in refused)


def check_tool_choice(request: ModelRequest) -> None:
    """Check that a model can call the tool that it must call.

    Raises:
        ToolChoiceImpossible: the request has no tools, or none of this name.
    """
    choice = request.tool_choice
    if choice is None or not choice.is_forced:
        return
    if not request.tools:
        msg = "The config of the agent has no tools."
        raise ToolChoiceImpossible(msg)
    if choice.mode == "tool" and choice.tool not in {tool.name for tool in request.tools}:
        msg = f"The config of the agent has no tool with the name {choice.tool}."
        raise ToolChoiceImpossible(msg)


def given(request: ModelRequest, parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Return those of these parameters that the request has."""
    return tuple(parameter for parameter in parameters if getattr(request, parameter) != _ABSENT[parameter])


def without(request: ModelRequest, parameters: Iterable[Parameter]) -> ModelRequest:
    """Return the request without these parameters."""
    return replace(request, **{parameter.value: _ABSENT[parameter] for parameter in parameters})


def api_of(request: ModelRequest) -> Api:
    """Return the API that a request uses at its server.

    OpenAI's Responses API has no stop sequences and no seed. A request with one of them uses Chat Completions, unless
    its model reasons: such models call tools in the Responses API alone.
    """
    if request.provider == "anthropic":
        return "messages"
    if request.provider == "bedrock":
        return "converse"
    if request.api in {"chat", "responses"}:
        return request.api
    if not is_openai_itself(request):
        return "chat"
    row = capabilities_of("openai", request.model)
    needs_chat = bool(request.stop) or request.seed is not None
    return "chat" if needs_chat and row and not row.needs_max_completion_tokens else "responses"


def is_openai_itself(request: ModelRequest) -> bool:
    """Return whether the request goes to OpenAI's own servers, in any region."""
    kind = kind_of(request.provider, request.base_url)
    return request.provider == "openai" and kind in {HostKind.OPENAI, HostKind.OPENAI_REGIONAL}


def cap_parameter(request: ModelRequest) -> CapParameter:
    """Return the name of the output cap in Chat Completions.

    OpenAI's newer models refuse the old name, and most other servers know only that one.
    """
    if request.cap_parameter:
        return request.cap_parameter
    is_openai = is_openai_itself(request) or request.provider == "azure"
    return "max_completion_tokens" if is_openai else "max_tokens"


@dataclass(frozen=True, slots=True)
class RefusedParameters:
    """The parameters that a provider's error names as unsupported."""

    parameters: tuple[Parameter, ...] = ()
    cap: bool = False
    """Whether it is the name of the output cap."""


def after_refusal(request: ModelRequest, refusal: RefusedParameters) -> ModelRequest | None:
    """Return the request to send instead of a refused one, or None if nothing of it was refused by name.

    The output cap is never left out, since the budget of the call depends on it: its other name is used.
    """
    changed = without(request, refusal.parameters)
    if refusal.cap and api_of(request) == "chat":
        changed = replace(changed, cap_parameter=_OTHER_CAP[cap_parameter(request)])
    return changed if changed != request else None
