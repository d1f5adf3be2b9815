"""Every call reaches the data of the tenant that the context acts for, and of no other."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.storage.clients import own_client, tenant_client
from shared.storage.credentials import NoTenantBound, TenantCredentials, acting_for
from tests import tables

ROLE = "arn:aws:iam::111111111111:role/data"


@dataclass
class FakeTokens:
    """Gives out keys that name their tenant."""

    lasts: timedelta = timedelta(hours=1)
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """A key of this tenant."""
        self.asked.append(arguments)
        tenant_id = arguments["Tags"][0]["Value"]
        return {
            "Credentials": {
                "AccessKeyId": f"key-of-{tenant_id}",
                "SecretAccessKey": "secret",
                "SessionToken": f"token-{len(self.asked)}",
                "Expiration": datetime.now(UTC) + self.lasts,
            }
        }


def credentials(tokens: FakeTokens) -> TenantCredentials:
    return TenantCredentials(lambda: tokens, role_arn=ROLE)


class TestTenantCredentials:
    def test_there_are_none_outside_of_a_tenants_context(self) -> None:
        tokens = FakeTokens()
        with pytest.raises(NoTenantBound):
            credentials(tokens).keys()
        assert tokens.asked == []

    def test_nor_after_it(self) -> None:
        found = credentials(FakeTokens())
        with acting_for("acme"):
            found.keys()
        with pytest.raises(NoTenantBound):
            found.keys()

    def test_nor_after_it_has_failed(self) -> None:
        found = credentials(FakeTokens())
        with pytest.raises(KeyError), acting_for("acme"):
            raise KeyError
        with pytest.raises(NoTenantBound):
            found.keys()

    def test_the_role_is_assumed_with_the_tenants_tag(self) -> None:
        tokens = FakeTokens()
        with acting_for("acme"):
            assert credentials(tokens).keys().access_key == "key-of-acme"
        assert tokens.asked == [
            {"RoleArn": ROLE, "RoleSessionName": "tenant-acme", "Tags": [{"Key": "tenant_id", "Value": "acme"}]}
        ]

    def test_the_sessions_name_is_cut_but_not_the_tag(self) -> None:
        tokens, tenant_id = FakeTokens(), "a" * 63
        with acting_for(tenant_id):
            credentials(tokens).keys()
        assert len(tokens.asked[0]["RoleSessionName"]) == 64
        assert tokens.asked[0]["Tags"][0]["Value"] == tenant_id

    def test_they_are_kept_for_each_tenant(self) -> None:
        tokens = FakeTokens()
        found = credentials(tokens)
        seen: list[str | None] = []
        for tenant_id in ("acme", "other", "acme", "other"):
            with acting_for(tenant_id):
                seen.append(found.keys().access_key)
        assert seen == ["key-of-acme", "key-of-other"] * 2
        assert len(tokens.asked) == 2

    @pytest.mark.parametrize(("lasts_s", "asked"), [(301, 1), (299, 2), (-1, 2)])
    def test_they_are_renewed_five_minutes_before_their_end(self, lasts_s: int, asked: int) -> None:
        tokens = FakeTokens(lasts=timedelta(seconds=lasts_s))
        found = credentials(tokens)
        with acting_for("acme"):
            found.keys()
            found.keys()
        assert len(tokens.asked) == asked

    def test_an_inner_context_ends_where_the_outer_goes_on(self) -> None:
        found = credentials(FakeTokens())
        with acting_for("acme"):
            with acting_for("other"):
                assert found.keys().access_key == "key-of-other"
            assert found.keys().access_key == "key-of-acme"

    def test_threads_see_their_own_tenant(self) -> None:
        found, together = credentials(FakeTokens()), threading.Barrier(4)

        def key_of(tenant_id: str) -> str | None:
            with acting_for(tenant_id):
                together.wait(timeout=5)
                return found.keys().access_key

        tenants = ["acme", "other", "third", "fourth"]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(key_of, tenants)) == [f"key-of-{tenant_id}" for tenant_id in tenants]

    def test_a_new_thread_has_no_tenant(self) -> None:
        found = credentials(FakeTokens())
        with acting_for("acme"), ThreadPoolExecutor(1) as pool, pytest.raises(NoTenantBound):
            pool.submit(found.keys).result()


class TestTenantClient:
    def test_signs_with_the_tenants_key_and_with_none_outside(self) -> None:
        with tables.tables():
            arguments = {"TableName": os.environ["ENTITIES_TABLE_NAME"], "Key": {"PK": {"S": "a"}, "SK": {"S": "b"}}}
            client = tenant_client("dynamodb")
            with pytest.raises(NoTenantBound):
                client.get_item(**arguments)
            with acting_for("acme"):
                assert "Item" not in client.get_item(**arguments)

    def test_there_is_one_for_all_tenants(self) -> None:
        with tables.tables():
            with acting_for("acme"):
                client = tenant_client("dynamodb")
            with acting_for("other"):
                assert tenant_client("dynamodb") is client


class TestOwnClient:
    def test_there_is_one_of_each(self) -> None:
        with tables.tables():
            assert own_client("dynamodb") is own_client("dynamodb")
            assert own_client("lambda", read_timeout_s=7, attempts=1) is not own_client("lambda")

    def test_waits_and_tries_as_it_is_told(self) -> None:
        with tables.tables():
            config = own_client("lambda", read_timeout_s=7, attempts=1).meta.config
            assert (config.read_timeout, config.retries["total_max_attempts"]) == (7, 1)
