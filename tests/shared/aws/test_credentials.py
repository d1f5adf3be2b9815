"""Every call reaches the data of the tenant that the context acts for, and of no other."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB
from shared.aws.signing import Scope
from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.storage.clients import own_client, tenant_client
from shared.storage.credentials import MAX_SESSIONS, NoTenantBound, TenantCredentials, acting_for
from shared.storage.items import Key
from shared.storage.store import Store
from tests import tables

ROLE = "arn:aws:iam::111111111111:role/data"


@dataclass
class FakeTokens:
    """Gives out keys that name their tenant."""

    lasts: timedelta = timedelta(hours=1)
    error: Exception | None = None
    """Raised instead."""
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """A key of this tenant."""
        self.asked.append(arguments)
        if self.error:
            raise self.error
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


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "AssumeRole")  # pyright: ignore[reportArgumentType]  # botocore has more of it


class TestOutage:
    @pytest.mark.parametrize(
        "error",
        [
            refusal("Throttling"),
            refusal("ThrottlingException"),
            refusal("RequestLimitExceeded", 503),
            refusal("InternalFailure", 500),
            refusal("502", 502),
            EndpointConnectionError(endpoint_url="https://sts"),
            ReadTimeoutError(endpoint_url="https://sts"),
        ],
        ids=str,
    )
    def test_asks_to_try_again(self, error: Exception) -> None:
        with acting_for("acme"), pytest.raises(DependencyUnavailable) as raised:
            credentials(FakeTokens(error=error)).keys()
        assert raised.value.retry_after_s == 1

    def test_is_an_outage_of_the_database_for_those_who_read(self) -> None:
        keys = credentials(FakeTokens(error=refusal("Throttling"))).keys
        caller = Caller(
            Connections("http://127.0.0.1:1", connect_timeout_s=1, read_timeout_s=1),
            scope=Scope("dynamodb", "us-east-2"),
            keys=keys,
            attempts=3,
        )
        store = Store(DynamoDB(caller), table="t", owned=Slice("RUNS", Table.ENTITIES))
        with acting_for("acme"), pytest.raises(DependencyUnavailable):
            store.get(Key("TENANT#acme#RUNS", "RUN#1"))

    @pytest.mark.parametrize("code", ["AccessDenied", "ValidationError", "ExpiredToken"])
    def test_is_not_a_refusal(self, code: str) -> None:
        with acting_for("acme"), pytest.raises(ClientError):
            credentials(FakeTokens(error=refusal(code))).keys()

    def test_leaves_a_session_usable_until_its_end(self) -> None:
        tokens = FakeTokens(lasts=timedelta(seconds=200))
        found = credentials(tokens)
        with acting_for("acme"):
            first = found.keys()
            tokens.error = refusal("Throttling")
            assert found.keys() == first

    def test_never_prolongs_a_session(self) -> None:
        tokens = FakeTokens(lasts=timedelta(seconds=-1))
        found = credentials(tokens)
        with acting_for("acme"):
            found.keys()
            tokens.error = refusal("Throttling")
            with pytest.raises(DependencyUnavailable):
                found.keys()


class TestManyTenants:
    def test_take_a_bounded_amount_of_memory(self) -> None:
        found = credentials(FakeTokens())
        for number in range(MAX_SESSIONS + 50):
            with acting_for(f"t{number}"):
                assert found.keys().access_key == f"key-of-t{number}"
        assert len(found._cache) == MAX_SESSIONS  # pyright: ignore[reportPrivateUsage]


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
