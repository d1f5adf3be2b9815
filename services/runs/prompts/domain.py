"""This service's copies of prompts, which the agents service owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.runs.errors import PromptTooLarge, UnknownRunVariables, VariablesMissing
from shared.document_ref import DocumentRef
from shared.ids import EVENT_DELIVERY_WINDOW
from shared.template import RenderedTooLarge, VariablesMismatch, render, variables_of


@dataclass(frozen=True, slots=True)
class PromptCopy:
    """The copy of a prompt."""

    prompt_id: str
    seq: int
    live_version: int
    latest_version: int
    deleted: bool
    received_at: datetime

    def may_be_in_transit(self, version: int, *, now: datetime) -> bool:
        """Return whether the event of this unknown version may still be under way."""
        return version > self.latest_version or now - self.received_at < EVENT_DELIVERY_WINDOW


@dataclass(frozen=True, slots=True)
class PromptVersionCopy:
    """The copy of a version. Versions are immutable."""

    prompt_id: str
    version: int
    template: DocumentRef
    seq: int = 1


def reference_in(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reference to a stored prompt in an agent's config; None if its system prompt is a text."""
    prompt = config.get("system_prompt")
    return prompt if isinstance(prompt, Mapping) else None  # pyright: ignore[reportUnknownVariableType]  # any JSON


def check_variables(inputs: Mapping[str, Any], template: str | None) -> None:
    """Check that a run passes values for variables of its prompt only.

    Args:
        inputs: the inputs of the run.
        template: the template of the prompt; None if the system prompt is a text, which has no variables.

    Raises:
        UnknownRunVariables: a value belongs to no variable.
    """
    variables = variables_of(template) if template is not None else ()
    unknown = [name for name in inputs.get("variables") or () if name not in variables]
    if unknown:
        raise UnknownRunVariables(unknown)


def config_with_prompt(config: Mapping[str, Any], template: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config whose system prompt is the rendered template.

    Args:
        config: the config, with a reference and perhaps values.
        template: the pinned template.
        inputs: the inputs of the run, whose values take precedence.

    Raises:
        VariablesMissing: neither the config nor the run has a value for a variable.
        PromptTooLarge: the rendered prompt is too large.
    """
    reference = reference_in(config) or {}
    values: dict[str, str] = {**reference.get("variables", {}), **(inputs.get("variables") or {})}
    try:
        return {**config, "system_prompt": render(template, values)}
    except VariablesMismatch as mismatch:
        raise VariablesMissing(mismatch.missing) from mismatch
    except RenderedTooLarge as error:
        raise PromptTooLarge(str(error)) from error
