"""The items of datasets for trials, with the blocks that were read last kept in memory."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from services.runs.datasets.domain.dataset import DatasetVersion
from services.runs.datasets.domain.items import BLOCK_ITEMS, Item
from services.runs.datasets.gateway import DatasetFiles, span_of
from shared.document_ref import DocumentRef
from shared.storage.objects import Artifacts

_MAX_BLOCKS = 16
"""Blocks in memory. One has 100 items, each of at most 1 MiB, and usually some 50 KB in all."""
_MAX_BLOCK_BYTES = 4 * 1024 * 1024


class TrialItems:
    """Items by their position. Consecutive trials share an item, so most reads need no request."""

    def __init__(self, files: DatasetFiles) -> None:
        self._files = files
        self._blocks: OrderedDict[tuple[str, int], list[Item]] = OrderedDict()

    def at(self, tenant_id: str, version: DatasetVersion, position: int) -> Item:
        """Return an item of a version.

        Raises:
            DocumentMissing: the dataset was deleted.
        """
        block = position // BLOCK_ITEMS
        key = (version.content.key, block)
        found = self._blocks.get(key)
        if found is None:
            start, end, _ = span_of(version.offsets, first=block * BLOCK_ITEMS, count=1)
            found = list(self._files.items(tenant_id, version.content, start=start, end=end))
            if end - start <= _MAX_BLOCK_BYTES:
                self._blocks[key] = found
        if len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return found[position % BLOCK_ITEMS]


class VariantConfigs:
    """The configs of variants with overrides, stored beside their experiment."""

    def __init__(self, documents: Artifacts) -> None:
        self._documents = documents

    def write(self, tenant_id: str, experiment_id: str, number: int, config: Mapping[str, Any]) -> DocumentRef:
        """Store the config of a variant. The same config has the same key."""
        return self._documents.write(tenant_id, f"runs/experiments/{experiment_id}/variant-{number}.json", config)
