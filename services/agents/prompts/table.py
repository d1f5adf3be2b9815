"""Storage of prompts and their versions.

A template is stored in the bucket, and written before the transaction that refers to it:
`tenants/<t>/agents/prompts/<prm_…>/versions/<n>-<digest>.json`. The key contains a hash of the content. If two requests
publish version n at the same time, both write their object first, and the loser must not overwrite the winner's object.
"""

from collections.abc import Iterator, Mapping

from services.agents.errors import PromptChangedMeanwhile, PromptNotFound, PromptVersionNotFound
from services.agents.partitions import SLICE, VERSIONS_LIST
from services.agents.projects.table import ProjectCopies
from services.agents.prompts.domain import Prompt, PromptChange, PromptVersion
from shared.events.agents import PromptDeleted
from shared.events.envelope import Event
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Transaction

_VERSION_NUMBERS = range(1, 10_000_000)
"""The version numbers that fit into a sort key."""


class PromptVersionTable(TenantTable[PromptVersion]):
    """The versions of one prompt. They remain when the prompt is deleted."""

    prefix, id_field = "VERSION#", "version"
    codec = Codec(PromptVersion, flat={"template": "template_"})
    not_found = PromptVersionNotFound

    def __init__(self, store: Store, tenant_id: str, prompt_id: str) -> None:
        super().__init__(store, tenant_id, "PROMPT", prompt_id)
        self._prompt_id = prompt_id

    def id_of(self, record: PromptVersion) -> str:
        """Return the number with leading zeros, so that versions sort by number."""
        return _padded(record.version)

    def indexed(self, record: PromptVersion) -> Mapping[str, Value]:
        """Return the place in the list of all versions: no other list has those of deleted prompts."""
        list_pk = SLICE.key(self.tenant_id, VERSIONS_LIST)
        return {"list_pk": list_pk, "list_sk": f"{self._prompt_id}#{record.version}"}

    def get_number(self, number: int) -> PromptVersion:
        """Return a version, even if its prompt was deleted.

        Raises:
            PromptVersionNotFound: the version was never published.
        """
        if number not in _VERSION_NUMBERS:
            raise PromptVersionNotFound
        return self.get(_padded(number))


class PromptTable(TenantTable[Prompt]):
    """The prompts of a tenant."""

    prefix, id_field = "PROMPT#", "prompt_id"
    codec = Codec(Prompt, flat={"live_template": "template_"})
    not_found, changed = PromptNotFound, PromptChangedMeanwhile

    def of_project(self, project_id: str) -> Iterator[Prompt]:
        """Yield the prompts that are in a project now."""
        return (prompt for prompt in self.all() if prompt.project_id == project_id)

    def create(self, change: PromptChange, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new prompt with its first version.

        Raises:
            UnknownProject: its project was deleted in the meantime.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=change.prompt.prompt_id)
        self.add(transaction, change.prompt)
        self._complete(transaction, change)

    def save(self, change: PromptChange, *, idempotency_key: IdempotencyKey | None = None) -> None:
        """Replace the preceding revision of a prompt, and write the version that the change publishes.

        Raises:
            PromptChangedMeanwhile: another request changed the prompt.
            PromptNotFound: the prompt was deleted.
            UnknownProject: its new project was deleted in the meantime.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key and change.published:
            resource_id = f"{change.prompt.prompt_id}:{change.published.version}"
            idempotency_key.remember(transaction, SLICE, resource_id=resource_id)
        self.replace(transaction, change.prompt)
        self._complete(transaction, change)

    def remove(self, prompt: Prompt, deleted: Event[PromptDeleted]) -> None:
        """Delete a prompt and keep its versions.

        Raises:
            PromptChangedMeanwhile: another request changed the prompt.
            PromptNotFound: the prompt was deleted before.
        """
        transaction = self.transaction()
        self.delete(transaction, prompt)
        transaction.emit(deleted)
        self.store.commit(transaction)

    def _complete(self, transaction: Transaction, change: PromptChange) -> None:
        if change.published:
            PromptVersionTable(self.store, self.tenant_id, change.prompt.prompt_id).add(transaction, change.published)
        if change.joins_project:
            ProjectCopies(self.store, self.tenant_id).require(transaction, change.joins_project)
        transaction.emit(*change.events)
        self.store.commit(transaction)


def _padded(version: int) -> str:
    return f"{version:07d}"
