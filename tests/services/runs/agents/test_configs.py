"""Cached configs of agent versions."""

from collections.abc import Mapping
from typing import Any

from services.runs.agents.gateway import CachedConfigs
from shared.document_ref import DocumentRef


class Bucket:
    """A store of documents that records its reads."""

    def __init__(self, documents: Mapping[str, object]) -> None:
        self.documents = documents
        self.read_keys: list[str] = []

    def read(self, tenant_id: str, stored: DocumentRef) -> Any:  # noqa: ANN401 — any document
        """Record the read and return the document."""
        self.read_keys.append(f"{tenant_id}/{stored.key}")
        return self.documents[stored.key]


def read(configs: CachedConfigs, *keys: str, tenant_id: str = "acme") -> None:
    for key in keys:
        configs.read(tenant_id, DocumentRef(key, "hash"))


class TestCachedConfigs:
    def test_reads_each_config_once(self) -> None:
        bucket = Bucket({"a": {"model": "m"}})
        configs = CachedConfigs(bucket)
        read(configs, "a", "a")
        assert bucket.read_keys == ["acme/a"]

    def test_does_not_share_configs_between_tenants(self) -> None:
        bucket = Bucket({"a": {"model": "m"}})
        configs = CachedConfigs(bucket)
        read(configs, "a")
        read(configs, "a", tenant_id="other")
        assert bucket.read_keys == ["acme/a", "other/a"]

    def test_evicts_the_least_recently_used_config(self) -> None:
        bucket = Bucket({key: {"system_prompt": key * 400} for key in "abc"})
        configs = CachedConfigs(bucket, cache_bytes=1_000)
        read(configs, "a", "b", "a", "c", "a", "b")
        assert bucket.read_keys == ["acme/a", "acme/b", "acme/c", "acme/b"]

    def test_does_not_cache_a_config_larger_than_the_cache(self) -> None:
        bucket = Bucket({"a": {"system_prompt": "x" * 2_000}})
        configs = CachedConfigs(bucket, cache_bytes=1_000)
        read(configs, "a", "a")
        assert bucket.read_keys == ["acme/a", "acme/a"]
