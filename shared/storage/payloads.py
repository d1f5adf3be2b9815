"""JSON that users wrote: small in the item, large in the bucket."""

import hashlib
from collections.abc import Mapping
from typing import Any

from shared.freejson import encode, loads_stored
from shared.storage.items import Reader, Value
from shared.storage.objects import Artifacts
from shared.stored import Stored

MAX_INLINE_BYTES = 64 * 1024
_MARK = 16
"""The characters of a payload's hash that stand in its key."""

Payload = Mapping[str, Any]


class Payloads:
    """Writes and reads JSON objects that may grow beyond what an item holds."""

    def __init__(self, documents: Artifacts) -> None:
        self._documents = documents

    def pack(self, tenant_id: str, path: str, payload: Payload) -> dict[str, Value]:
        """The attribute that stands for the payload; a large one is written below the tenant's prefix first.

        Its key tells its content, so that of two writers at once neither spoils what the other has written.
        """
        encoded = encode(payload)
        if len(encoded) <= MAX_INLINE_BYTES:
            return {"json": encoded.decode()}
        mark = hashlib.sha256(encoded).hexdigest()[:_MARK]
        stored = self._documents.write(tenant_id, f"{path}-{mark}.json", payload)
        return {"key": stored.key, "sha256": stored.sha256, "bytes": len(encoded)}

    def unpack(self, tenant_id: str, attribute: Reader) -> dict[str, Any]:
        """The payload that `pack` made this attribute of."""
        text = attribute.optional_text("json")
        if text is not None:
            return loads_stored(text)
        return self._documents.read(tenant_id, _stored(attribute))

    def name(self, attribute: Reader) -> dict[str, Any]:
        """The payload if it is small; of a large one only how large it is."""
        text = attribute.optional_text("json")
        return loads_stored(text) if text is not None else {"artifact": {"bytes": attribute.integer("bytes")}}

    def address(self, tenant_id: str, attribute: Reader, *, lasts_s: int) -> str:
        """Where a large payload can be downloaded, for so long."""
        return self._documents.address(tenant_id, _stored(attribute), lasts_s=lasts_s)

    def delete_below(self, tenant_id: str, folder: str) -> int:
        """Remove all large payloads below this folder; says how many there were."""
        return self._documents.delete_below(tenant_id, folder)


def _stored(attribute: Reader) -> Stored:
    return Stored(attribute.text("key"), attribute.text("sha256"))
