"""The configs of agent versions: documents that the agents service has written and named in its events."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from shared.freejson import encode
from shared.stored import Stored

CACHE_BYTES = 2 * 1024 * 1024
"""Of all cached configs together, as JSON; decoded they take up to 25 times as much memory."""


class Documents(Protocol):
    """Where configs are stored."""

    def read(self, tenant_id: str, stored: Stored) -> Any:  # noqa: ANN401 — a document is whatever was written
        """Return the document."""
        ...


class CachedConfigs:
    """Reads each config once per container, since it never changes; the least recently used ones are dropped.

    The key of a config carries its tenant. Configs of any tenant can be 1 MB each, so the cache is bounded in bytes.
    """

    def __init__(self, documents: Documents, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._documents = documents
        self._left_bytes = cache_bytes
        self._lock = threading.Lock()
        self._cached: OrderedDict[tuple[str, Stored], tuple[Mapping[str, Any], int]] = OrderedDict()

    def read(self, tenant_id: str, stored: Stored) -> Mapping[str, Any]:
        """Return the config that is stored there.

        Raises:
            DependencyUnavailable: the bucket does not answer.
        """
        key = (tenant_id, stored)
        with self._lock:
            if key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key][0]
        config = self._documents.read(tenant_id, stored)
        size = len(encode(config))
        with self._lock:
            if key not in self._cached:
                self._cached[key] = (config, size)
                self._left_bytes -= size
            while self._left_bytes < 0:
                _, (_, dropped) = self._cached.popitem(last=False)
                self._left_bytes += dropped
        return config
