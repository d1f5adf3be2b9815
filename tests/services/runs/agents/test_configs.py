"""Configs of agent versions, kept by the worker."""

from collections.abc import Mapping
from typing import Any

from services.runs.gateways.configs import CachedConfigs
from shared.stored import Stored


class Bucket:
    """Documents by their keys, and which were read."""

    def __init__(self, documents: Mapping[str, object]) -> None:
        self.documents = documents
        self.read_keys: list[str] = []

    def read(self, tenant_id: str, stored: Stored) -> Any:  # noqa: ANN401 — any document
        """Note it and give it."""
        self.read_keys.append(f"{tenant_id}/{stored.key}")
        return self.documents[stored.key]


def read(configs: CachedConfigs, *keys: str, tenant_id: str = "acme") -> None:
    for key in keys:
        configs.read(tenant_id, Stored(key, "hash"))


class TestCachedConfigs:
    def test_reads_each_once(self) -> None:
        bucket = Bucket({"a": {"model": "m"}})
        configs = CachedConfigs(bucket)
        read(configs, "a", "a")
        assert bucket.read_keys == ["acme/a"]

    def test_reads_it_again_for_another_tenant(self) -> None:
        bucket = Bucket({"a": {"model": "m"}})
        configs = CachedConfigs(bucket)
        read(configs, "a")
        read(configs, "a", tenant_id="other")
        assert bucket.read_keys == ["acme/a", "other/a"]

    def test_drops_the_least_recently_used_beyond_its_bytes(self) -> None:
        bucket = Bucket({key: {"system_prompt": key * 400} for key in "abc"})
        configs = CachedConfigs(bucket, cache_bytes=1_000)
        read(configs, "a", "b", "a", "c", "a", "b")
        assert bucket.read_keys == ["acme/a", "acme/b", "acme/c", "acme/b"]

    def test_keeps_nothing_that_is_larger_than_all_of_it(self) -> None:
        bucket = Bucket({"a": {"system_prompt": "x" * 2_000}})
        configs = CachedConfigs(bucket, cache_bytes=1_000)
        read(configs, "a", "a")
        assert bucket.read_keys == ["acme/a", "acme/a"]
