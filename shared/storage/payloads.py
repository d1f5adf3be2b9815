"""JSON that users wrote: small in the item, large in the bucket."""

import json
from collections.abc import Mapping
from typing import Any

from shared.storage.items import Reader, Value
from shared.storage.objects import Documents
from shared.stored import Stored

MAX_INLINE_BYTES = 64 * 1024

Payload = Mapping[str, Any]


class Payloads:
    """Writes and reads JSON objects that may grow beyond what an item holds."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def pack(self, tenant_id: str, path: str, payload: Payload) -> dict[str, Value]:
        """The attribute that stands for the payload; a large one is written below the tenant's prefix first."""
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) <= MAX_INLINE_BYTES:
            return {"json": text}
        stored = self._documents.write(tenant_id, path, payload)
        return {"key": stored.key, "sha256": stored.sha256}

    def unpack(self, tenant_id: str, attribute: Reader) -> dict[str, Any]:
        """The payload that `pack` made this attribute of."""
        text = attribute.optional_text("json")
        if text is not None:
            return json.loads(text)
        return self._documents.read(tenant_id, Stored(attribute.text("key"), attribute.text("sha256")))
