"""The items of runs with their payloads: small ones in the item, large ones in the bucket."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.runs.runs.domain import artifact
from services.runs.runs.domain.conversation import Message, ProviderState, ToolCall
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.states import PAYLOADS, RunStates
from shared.storage.items import Item, Reader, Value
from shared.storage.payloads import Payloads
from shared.storage.store import Store


class RunItems(RunStates):
    """The items of one tenant's runs.

    Args:
        store: the slice.
        tenant_id: the tenant.
        payloads: the payloads in the bucket.
    """

    def __init__(self, store: Store, tenant_id: str, payloads: Payloads) -> None:
        super().__init__(store, tenant_id)
        self.payloads = payloads

    @property
    def attributes(self) -> Sequence[str]:
        """All attributes are read."""
        return ()

    def item(self, record: Run) -> dict[str, Value]:
        """Return the item of a run. Its large payloads are stored in the bucket."""
        return {**super().item(self.stored(record)), **self._packed(record, PAYLOADS)}

    def changes(self, before: Run, after: Run) -> dict[str, Value]:
        """Return the attributes that differ; None for a removed one.

        Unchanged payloads are not written again. Large changed payloads are stored in the bucket.
        """
        old, new = self.indexed(before), self.indexed(after)
        # The next write of a quarantined run makes it due again.
        moved = {name: new.get(name) for name in {**old, **new} if name == "due_pk" or old.get(name) != new.get(name)}
        written = [name for name in PAYLOADS if getattr(after, name) is not getattr(before, name)]
        changed = self.codec.difference(self.stored(before), self.stored(after))
        return {**moved, **changed, **self._packed(after, written)}

    def listed(self, item: Item) -> Run:
        """Return the run of an item without reading the bucket.

        Large inputs, metadata and output are replaced by their size, and large turns are omitted. Of other turns, only
        those of a run that waits for tool outputs are read.
        """
        reader = Reader(item)
        has_turns = (
            item["status"] == Status.REQUIRES_ACTION and "turns" in item and "key" not in reader.map("turns").names
        )
        shown = {name: self.payloads.name(reader.map(name)) for name in PAYLOADS if name in item and name != "turns"}
        return self._decoded(item, {**shown, **({"turns": self._unpacked(item, "turns")} if has_turns else {})})

    def folder(self, run_id: str) -> str:
        """Return the folder of a run's objects, within its tenant's prefix."""
        return f"runs/{run_id}"

    def decode(self, item: Item) -> Run:
        """Return the run of an item, with its payloads from the bucket."""
        return self._decoded(item, {name: self._unpacked(item, name) for name in PAYLOADS if name in item})

    def _decoded(self, item: Item, payloads: Mapping[str, Mapping[str, Any]]) -> Run:
        return self.codec.decode(
            item,
            inputs=payloads.get("inputs", {}),
            metadata=payloads.get("metadata", {}),
            turns=tuple(map(_turn, payloads.get("turns", {}).get("turns", ()))),
            output=payloads.get("output"),
        )

    def _packed(self, run: Run, names: Collection[str]) -> dict[str, Value]:
        """Return the attributes of some payloads; the names of turns in the bucket end in their number."""
        return {
            attribute: self.payloads.pack(
                self.tenant_id,
                f"{self.folder(run.run_id)}/{name}",
                payload,
                inline_bytes=artifact.inline_bytes(name),
            )
            for name, payload in artifact.payloads(run).items()
            if (attribute := name.partition("-")[0]) in names
        }

    def _unpacked(self, item: Item, name: str) -> dict[str, Any]:
        return self.payloads.unpack(self.tenant_id, Reader(item).map(name))


def _turn(turn: Mapping[str, Any]) -> Message:
    return Message(
        role=turn["role"],
        content=turn["content"],
        tool_calls=tuple(ToolCall(**call) for call in turn["tool_calls"]),
        tool_call_id=turn["tool_call_id"],
        state=ProviderState(**turn["state"]) if "state" in turn else None,
    )
