"""The configs of agent versions: documents that the agents service has written and named in its events."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from shared.storage.objects import Documents
from shared.stored import Stored

_KEPT = 256


class CachedConfigs:
    """Reads each config once per container, since it never changes; the key carries its tenant."""

    def __init__(self, documents: Documents) -> None:
        self._read = lru_cache(maxsize=_KEPT)(documents.read)

    def read(self, tenant_id: str, stored: Stored) -> Mapping[str, Any]:
        """The config that lies there.

        Raises:
            DependencyUnavailable: the bucket does not answer.
        """
        return self._read(tenant_id, stored)
