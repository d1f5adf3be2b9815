"""JSON that users wrote: small payloads in the item, large ones in the bucket."""

import hashlib
from collections.abc import Mapping
from typing import Any

from shared.document_ref import DocumentRef
from shared.freejson import encode, loads_stored
from shared.storage.items import Reader, Value
from shared.storage.objects import Artifacts

MAX_INLINE_BYTES = 64 * 1024
_MARK = 16
"""The number of characters of a payload's hash in its key."""

Payload = Mapping[str, Any]


class Payloads:
    """JSON objects that may be too large for an item."""

    def __init__(self, documents: Artifacts) -> None:
        self._documents = documents

    def pack(
        self, tenant_id: str, path: str, payload: Payload, *, inline_bytes: int = MAX_INLINE_BYTES
    ) -> dict[str, Value]:
        """Return the attribute for a payload; one of more than `inline_bytes` is written to the bucket first.

        Its key contains a hash of its content, so that concurrent writers do not overwrite each other's payload.
        """
        encoded = encode(payload)
        if len(encoded) <= inline_bytes:
            return {"json": encoded.decode()}
        mark = hashlib.sha256(encoded).hexdigest()[:_MARK]
        stored = self._documents.write(tenant_id, f"{path}-{mark}.json", payload)
        return {"key": stored.key, "sha256": stored.sha256, "bytes": len(encoded)}

    def unpack(self, tenant_id: str, attribute: Reader) -> dict[str, Any]:
        """Return the payload from the attribute that `pack` returned."""
        text = attribute.optional_text("json")
        if text is not None:
            return loads_stored(text)
        return self._documents.read(tenant_id, _stored(attribute))

    def name(self, attribute: Reader) -> dict[str, Any]:
        """Return a small payload; for a large one, only its size."""
        text = attribute.optional_text("json")
        return loads_stored(text) if text is not None else {"artifact": {"bytes": attribute.integer("bytes")}}

    def address(self, tenant_id: str, attribute: Reader, *, lasts_s: int) -> str:
        """Return a presigned URL of a large payload, valid for `lasts_s` seconds."""
        return self._documents.address(tenant_id, _stored(attribute), lasts_s=lasts_s)

    def delete_below(self, tenant_id: str, folder: str) -> int:
        """Delete all large payloads in a folder, and return their number."""
        return self._documents.delete_below(tenant_id, folder)


def _stored(attribute: Reader) -> DocumentRef:
    return DocumentRef(attribute.text("key"), attribute.text("sha256"))
