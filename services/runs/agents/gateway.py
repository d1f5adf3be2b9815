"""Configs of agent versions: documents that the agents service writes and references in its events."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from shared.document_ref import DocumentRef
from shared.freejson import encode

CACHE_BYTES = 2 * 1024 * 1024
"""The maximum size of all cached configs together, as JSON; decoded they take up to 25 times as much memory."""


class ConfigStore(Protocol):
    """The store of configs."""

    def read(self, tenant_id: str, stored: DocumentRef) -> Any:  # noqa: ANN401 — a document is whatever was written
        """Return the document."""
        ...


class CachedConfigs:
    """Reader that caches configs per container, since they are immutable; the least recently used are evicted.

    The cache key contains the tenant. A config can have 1 MB, so the cache is bounded in bytes.
    """

    def __init__(self, documents: ConfigStore, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._documents = documents
        self._left_bytes = cache_bytes
        self._lock = threading.Lock()
        self._cached: OrderedDict[tuple[str, DocumentRef], tuple[Mapping[str, Any], int]] = OrderedDict()

    def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:
        """Return the config of this reference.

        Raises:
            DependencyUnavailable: the bucket does not respond.
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
