"""Items of datasets: their ids, and their form as JSON lines."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import freejson

BLOCK_ITEMS = 100
"""The items of one compressed block. A page or a trial reads the blocks that it needs."""
MAX_ITEM_BYTES = 1024 * 1024
"""The maximum size of a line of an upload, and of an item."""
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
"""The regular expression of item ids that clients choose."""
_ID_HEX_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Item:
    """An input with its expected output."""

    item_id: str
    inputs: Mapping[str, Any]
    """The inputs of a run."""
    expected: Any = None
    """Any JSON; None: the item has no expected output."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_line(self) -> bytes:
        """Return the item as JSON without a line break."""
        content: dict[str, Any] = {"item_id": self.item_id, "inputs": self.inputs}
        if self.expected is not None:
            content["expected"] = self.expected
        if self.metadata:
            content["metadata"] = self.metadata
        return freejson.encode(content)


def items_of(lines: bytes) -> Iterator[Item]:
    """Yield the items in stored JSON lines."""
    for line in lines.splitlines():
        content = json.loads(line)
        yield Item(content["item_id"], content["inputs"], content.get("expected"), content.get("metadata") or {})


class ItemIds:
    """The ids of the items of one version, in their order.

    An item without an id has a hash of its inputs. Further items with the same inputs have it with their number.
    """

    def __init__(self) -> None:
        self._used = set[str]()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._used

    def add(self, item_id: str) -> bool:
        """Use a chosen id, and return whether it was free."""
        is_free = item_id not in self._used
        self._used.add(item_id)
        return is_free

    def derive(self, inputs: Mapping[str, Any]) -> str:
        """Return and use the id of an item with these inputs."""
        digest = hashlib.sha256(freejson.encode(inputs, sort_keys=True)).hexdigest()[:_ID_HEX_DIGITS]
        item_id, number = f"i-{digest}", 1
        while not self.add(item_id):
            number += 1
            item_id = f"i-{digest}-{number}"
        return item_id
