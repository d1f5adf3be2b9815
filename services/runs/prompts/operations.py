"""Pinning of a run to a version of its agent's prompt, and reading of configs with their prompts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from services.runs.errors import PromptOfAgentDeleted, PromptOfAgentNotFound
from services.runs.prompts.domain import (
    PromptCopy,
    PromptVersionCopy,
    check_variables,
    config_with_prompt,
    reference_in,
)
from services.runs.prompts.table import PromptCopies
from shared.copies.retry import read_until_present
from shared.document_ref import DocumentRef
from shared.ids import is_fresh

CopyT = TypeVar("CopyT")


class PromptDocuments(Protocol):
    """The configs and templates, which are immutable."""

    def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:
        """Return the document of this reference."""
        ...


def pin_prompt(
    prompts: PromptCopies, tenant_id: str, config: Mapping[str, Any], *, now: datetime
) -> PromptVersionCopy | None:
    """Return the version of the prompt that a config refers to, or None if its system prompt is a text.

    Raises:
        PromptOfAgentDeleted: the prompt was deleted.
        PromptOfAgentNotFound: the prompt or its version is unknown.
        DependencyUnavailable: its event may be under way but has not arrived within 5 s.
    """
    reference = reference_in(config)
    if reference is None:
        return None
    prompt_id = str(reference["prompt_id"])

    def read_prompt() -> PromptCopy | None:
        return prompts.find_prompt(tenant_id, prompt_id)

    prompt = _read(read_prompt, is_awaited=is_fresh(prompt_id, now=now))
    if prompt is None:
        raise PromptOfAgentNotFound
    if prompt.deleted:
        raise PromptOfAgentDeleted
    number = int(reference.get("version") or prompt.live_version)

    def read_version() -> PromptVersionCopy | None:
        return prompts.find_version(tenant_id, prompt_id, number)

    version = _read(read_version, is_awaited=prompt.may_be_in_transit(number, now=now))
    if version is None:
        raise PromptOfAgentNotFound
    return version


def check_run_variables(
    documents: PromptDocuments, tenant_id: str, template: DocumentRef | None, inputs: Mapping[str, Any]
) -> None:
    """Check that a run passes values for variables of its prompt only.

    Raises:
        UnknownRunVariables: a value belongs to no variable.
    """
    text = str(documents.read(tenant_id, template)["template"]) if template else None
    check_variables(inputs, text)


def read_config(
    documents: PromptDocuments,
    tenant_id: str,
    config: DocumentRef,
    *,
    template: DocumentRef | None,
    inputs: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return the config of a version, in which the system prompt is a text.

    Args:
        documents: the documents of the agents service.
        tenant_id: the tenant.
        config: the config of the version.
        template: the pinned template; None if the system prompt is a text.
        inputs: the inputs of the run.

    Raises:
        VariablesMissing: a variable has no value.
        PromptTooLarge: the rendered prompt is too large.
    """
    document = documents.read(tenant_id, config)
    if template is None:
        return document
    return config_with_prompt(document, str(documents.read(tenant_id, template)["template"]), inputs)


def _read(read: Callable[[], CopyT | None], *, is_awaited: bool) -> CopyT | None:
    found = read()
    return read_until_present(read) if found is None and is_awaited else found
