"""The copies of prompts and their versions."""

from services.runs.prompts.domain import PromptCopy, PromptVersionCopy
from shared.copies.table import CopyTable
from shared.storage.codec import Codec
from shared.storage.store import Store


class _Prompts(CopyTable[PromptCopy]):
    prefix, id_field = "COPY#PROMPT#", "prompt_id"
    codec = Codec(PromptCopy, given=("prompt_id",))


class _PromptVersions(CopyTable[PromptVersionCopy]):
    prefix = "COPY#PROMPTVERSION#"
    codec = Codec(PromptVersionCopy, flat={"template": "template_"}, always=("seq",))

    def id_of(self, record: PromptVersionCopy) -> str:
        return _version_id(record.prompt_id, record.version)


class PromptCopies:
    """The copies of one slice."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find_prompt(self, tenant_id: str, prompt_id: str) -> PromptCopy | None:
        """Return the copy of a prompt, or None if no event of it was received."""
        return _Prompts(self._store, tenant_id).find(prompt_id)

    def find_version(self, tenant_id: str, prompt_id: str, version: int) -> PromptVersionCopy | None:
        """Return the copy of a version, or None if its event was not received."""
        return _PromptVersions(self._store, tenant_id).find(_version_id(prompt_id, version))

    def keep_prompt(self, tenant_id: str, copy: PromptCopy) -> None:
        """Store the copy of a prompt, unless a newer one is stored."""
        _Prompts(self._store, tenant_id).keep(copy)

    def keep_version(self, tenant_id: str, copy: PromptVersionCopy) -> None:
        """Store the copy of a version, once."""
        _PromptVersions(self._store, tenant_id).keep(copy)


def _version_id(prompt_id: str, version: int) -> str:
    return f"{prompt_id}#{version:07d}"
