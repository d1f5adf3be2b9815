"""Event handlers that keep the copies of prompts and versions."""

from services.runs import wiring
from services.runs.prompts.domain import PromptCopy, PromptVersionCopy
from services.runs.prompts.table import PromptCopies
from shared.document_ref import DocumentRef
from shared.events.agents import (
    PromptAliasMoved,
    PromptCreated,
    PromptDeleted,
    PromptState,
    PromptUpdated,
    PromptVersionPublished,
)
from shared.events.envelope import Event
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(PromptCreated, PromptUpdated, PromptAliasMoved)
def update_prompt(event: Event[PromptState], delivery: Delivery) -> None:
    """Update the copy of the prompt: its live version."""
    state = event.data
    copy = PromptCopy(
        prompt_id=state.prompt_id,
        seq=event.seq,
        live_version=state.live_version,
        latest_version=state.latest_version,
        deleted=False,
        received_at=delivery.received_at,
    )
    PromptCopies(wiring.slice_store()).keep_prompt(event.tenant_id, copy)


@events.on(PromptDeleted)
def delete_prompt(event: Event[PromptDeleted], delivery: Delivery) -> None:
    """Replace the copy of the prompt with a tombstone, so that late events cannot recreate it."""
    tombstone = PromptCopy(
        prompt_id=event.data.prompt_id,
        seq=event.seq,
        live_version=0,
        latest_version=0,
        deleted=True,
        received_at=delivery.received_at,
    )
    PromptCopies(wiring.slice_store()).keep_prompt(event.tenant_id, tombstone)


@events.on(PromptVersionPublished)
def add_prompt_version(event: Event[PromptVersionPublished], _: Delivery) -> None:
    """Store the copy of the version, so that runs can be pinned to it."""
    payload = event.data
    template = DocumentRef(payload.template_key, payload.template_sha256)
    copy = PromptVersionCopy(payload.prompt_id, payload.version, template)
    PromptCopies(wiring.slice_store()).keep_version(event.tenant_id, copy)
