"""Operations on prompts: each one loads, decides and saves."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from services.agents.errors import (
    PromptNotFound,
    PromptVersionNotFound,
    UnknownPrompt,
    UnknownPromptVersion,
    UnknownVariables,
)
from services.agents.projects.operations import ensure_project
from services.agents.prompts import domain
from services.agents.prompts.domain import (
    Prompt,
    PromptChange,
    PromptDetails,
    PromptReference,
    PromptVersion,
    StoredTemplate,
)
from services.agents.prompts.table import PromptTable, PromptVersionTable
from shared.document_ref import DocumentRef
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.storage.objects import Documents
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store
from shared.template import variables_of

BeforeLive = Callable[[str], None]
"""Checks a template that is to go live, and raises if it may not."""


def allow_all(_template: str) -> None:
    """Allow each template to go live."""


@dataclass(frozen=True, slots=True)
class PromptUpdate:
    """A merge patch of a prompt. None leaves a field unchanged."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False
    project_id: str | None = None
    clears_project: bool = False
    template: str | None = None
    """The template to publish and make live."""


def create_prompt(
    store: Store,
    documents: Documents,
    tenant_id: str,
    *,
    prompt_id: str,
    details: PromptDetails,
    template: str,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
    before_live: BeforeLive = allow_all,
) -> Prompt:
    """Create a prompt with a live first version.

    Raises:
        UnknownProject: the project does not exist.
    """
    if details.project_id:
        ensure_project(store, tenant_id, details.project_id, now=now)
    before_live(template)
    stored = _write_template(documents, tenant_id, prompt_id, version=1, template=template)
    change = domain.create_prompt(tenant_id, prompt_id, details, template=stored, now=now)
    PromptTable(store, tenant_id).create(change, idempotency_key=idempotency_key)
    return change.prompt


def change_prompt(
    store: Store,
    documents: Documents,
    tenant_id: str,
    prompt_id: str,
    patch: PromptUpdate,
    *,
    now: datetime,
    if_match: str | None,
    before_live: BeforeLive = allow_all,
) -> Prompt:
    """Merge a patch into a prompt. A template in it becomes the live version.

    Raises:
        UnknownProject: the project does not exist.
    """
    if patch.template is not None:
        before_live(patch.template)

    def decide(prompt: Prompt) -> PromptChange:
        details = _merge_patch(prompt, patch)
        if details.project_id and details.project_id != prompt.project_id:
            ensure_project(store, tenant_id, details.project_id, now=now)
        if patch.template is None:
            return domain.change_details(tenant_id, prompt, details, now=now)
        number = prompt.latest_version + 1
        stored = _write_template(documents, tenant_id, prompt_id, version=number, template=patch.template)
        return domain.publish_version(tenant_id, prompt, details, template=stored, live=True, now=now)

    return _change(store, tenant_id, prompt_id, decide, if_match=if_match).prompt


def publish_version(
    store: Store,
    documents: Documents,
    tenant_id: str,
    prompt_id: str,
    *,
    template: str,
    live: bool,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
    before_live: BeforeLive = allow_all,
) -> tuple[Prompt, PromptVersion]:
    """Publish a new version, and return the changed prompt and the version."""
    if live:
        before_live(template)

    def decide(prompt: Prompt) -> PromptChange:
        number = prompt.latest_version + 1
        stored = _write_template(documents, tenant_id, prompt_id, version=number, template=template)
        details = domain.details_of(prompt)
        return domain.publish_version(tenant_id, prompt, details, template=stored, live=live, now=now)

    change = _change(store, tenant_id, prompt_id, decide, idempotency_key=idempotency_key)
    return change.prompt, cast("PromptVersion", change.published)


def move_alias(
    store: Store,
    documents: Documents,
    tenant_id: str,
    prompt_id: str,
    version: int,
    *,
    now: datetime,
    if_match: str | None,
    before_live: BeforeLive = allow_all,
) -> Prompt:
    """Make a version live. If it is live already, nothing changes and no event is published.

    Raises:
        UnknownPromptVersion: the version was never published.
    """

    def decide(prompt: Prompt) -> PromptChange:
        try:
            published = PromptVersionTable(store, tenant_id, prompt_id).get_number(version)
        except PromptVersionNotFound as error:
            raise UnknownPromptVersion(field="version") from error
        if version == prompt.live_version:
            return PromptChange(prompt, events=())
        before_live(read_template(documents, tenant_id, published.template))
        return domain.move_alias(tenant_id, prompt, published, now=now)

    return _change(store, tenant_id, prompt_id, decide, if_match=if_match).prompt


def delete_prompt(store: Store, tenant_id: str, prompt_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete a prompt. Its versions remain, because earlier runs refer to them."""
    prompts = PromptTable(store, tenant_id)

    def attempt() -> None:
        prompt = prompts.get(prompt_id)
        check_if_match(if_match, prompt.seq)
        prompts.remove(prompt, domain.delete_prompt(tenant_id, prompt, now=now))

    retry_on_conflict(attempt)


def leave_project(store: Store, tenant_id: str, project_id: str, *, now: datetime) -> None:
    """Take all prompts out of a project. The operation is idempotent."""

    def decide(prompt: Prompt) -> PromptChange:
        if prompt.project_id != project_id:
            return PromptChange(prompt, events=())
        return domain.leave_project(tenant_id, prompt, now=now)

    for prompt in PromptTable(store, tenant_id).of_project(project_id):
        with suppress(PromptNotFound):
            _change(store, tenant_id, prompt.prompt_id, decide)


def read_template(documents: Documents, tenant_id: str, template: DocumentRef) -> str:
    """Return a template as it was published."""
    return str(documents.read(tenant_id, template)["template"])


def find_version(store: Store, tenant_id: str, reference: PromptReference, *, field: str) -> PromptVersion:
    """Return the version that a reference names, or the live one now, after checking its variables.

    Args:
        store: the slice.
        tenant_id: the tenant.
        reference: the reference in a config.
        field: the path of the reference in the request.

    Raises:
        UnknownPrompt, UnknownPromptVersion: it does not exist.
        UnknownVariables: it has a value for a name that the template does not use.
    """
    try:
        prompt = PromptTable(store, tenant_id).get(reference.prompt_id)
    except PromptNotFound as error:
        raise UnknownPrompt(field=f"{field}.prompt_id") from error
    number = reference.version or prompt.live_version
    try:
        version = PromptVersionTable(store, tenant_id, reference.prompt_id).get_number(number)
    except PromptVersionNotFound as error:
        raise UnknownPromptVersion(field=f"{field}.version") from error
    if unknown := domain.unknown_names([*reference.variables], version.variables):
        raise UnknownVariables(unknown, field=f"{field}.variables")
    return version


def _change(
    store: Store,
    tenant_id: str,
    prompt_id: str,
    decide: Callable[[Prompt], PromptChange],
    *,
    if_match: str | None = None,
    idempotency_key: IdempotencyKey | None = None,
) -> PromptChange:
    """Load, decide and save. Retry after a conflict, unless the caller sent `If-Match`."""
    prompts = PromptTable(store, tenant_id)

    def attempt() -> PromptChange:
        prompt = prompts.get(prompt_id)
        check_if_match(if_match, prompt.seq)
        change = decide(prompt)
        if change.prompt.seq > prompt.seq:
            prompts.save(change, idempotency_key=idempotency_key)
        return change

    return retry_on_conflict(attempt)


def _merge_patch(prompt: Prompt, patch: PromptUpdate) -> PromptDetails:
    description = prompt.description if patch.description is None else patch.description
    return PromptDetails(
        name=patch.name or prompt.name,
        description=None if patch.clears_description else description,
        project_id=None if patch.clears_project else patch.project_id or prompt.project_id,
    )


def _write_template(
    documents: Documents, tenant_id: str, prompt_id: str, *, version: int, template: str
) -> StoredTemplate:
    """Store a template under a key that no other one can have, even if another request gets the version number."""
    digest = hashlib.sha256(template.encode()).hexdigest()[:16]
    path = f"agents/prompts/{prompt_id}/versions/{version}-{digest}.json"
    return StoredTemplate(documents.write(tenant_id, path, {"template": template}), variables_of(template))
