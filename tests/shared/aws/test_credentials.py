"""Every call has access only to the data of the tenant for which the context acts."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from shared.aws.client import Caller
from shared.aws.clients import own_client, tenant_client
from shared.aws.connection import Connections
from shared.aws.credentials import MAX_SESSIONS, NoTenantBound, TenantCredentials, acting_for
from shared.aws.services import DynamoDB
from shared.aws.signing import Scope
from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.storage.items import Key
from shared.storage.store import Store
from tests import tables

ROLE = "arn:aws:iam::111111111111:role/data"


@dataclass
class FakeTokens:
    """A fake STS whose keys contain the tenant."""

    lifetime: timedelta = timedelta(hours=1)
    error: Exception | None = None
    """The error to raise instead of a response."""
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Return a key of this tenant."""
        self.requests.append(arguments)
        if self.error:
            raise self.error
        tenant_id = arguments["Tags"][0]["Value"]
        return {
            "Credentials": {
                "AccessKeyId": f"key-of-{tenant_id}",
                "SecretAccessKey": "secret",
                "SessionToken": f"token-{len(self.requests)}",
                "Expiration": datetime.now(UTC) + self.lifetime,
            }
        }


def credentials(tokens: FakeTokens) -> TenantCredentials:
    return TenantCredentials(lambda: tokens, role_arn=ROLE)


class TestTenantCredentials:
    def test_raise_outside_of_a_tenants_context(self) -> None:
        tokens = FakeTokens()
        with pytest.raises(NoTenantBound):
            credentials(tokens).keys()
        assert tokens.requests == []

    def test_raise_after_a_tenants_context(self) -> None:
        cached = credentials(FakeTokens())
        with acting_for("acme"):
            cached.keys()
        with pytest.raises(NoTenantBound):
            cached.keys()

    def test_raise_after_a_context_that_failed(self) -> None:
        cached = credentials(FakeTokens())
        with pytest.raises(KeyError), acting_for("acme"):
            raise KeyError
        with pytest.raises(NoTenantBound):
            cached.keys()

    def test_assume_the_role_with_the_tenants_tag(self) -> None:
        tokens = FakeTokens()
        with acting_for("acme"):
            assert credentials(tokens).keys().access_key == "key-of-acme"
        assert tokens.requests == [
            {"RoleArn": ROLE, "RoleSessionName": "tenant-acme", "Tags": [{"Key": "tenant_id", "Value": "acme"}]}
        ]

    def test_truncate_the_session_name_but_not_the_tag(self) -> None:
        tokens, tenant_id = FakeTokens(), "a" * 63
        with acting_for(tenant_id):
            credentials(tokens).keys()
        assert len(tokens.requests[0]["RoleSessionName"]) == 64
        assert tokens.requests[0]["Tags"][0]["Value"] == tenant_id

    def test_are_cached_for_each_tenant(self) -> None:
        tokens = FakeTokens()
        cached = credentials(tokens)
        used: list[str | None] = []
        for tenant_id in ("acme", "other", "acme", "other"):
            with acting_for(tenant_id):
                used.append(cached.keys().access_key)
        assert used == ["key-of-acme", "key-of-other"] * 2
        assert len(tokens.requests) == 2

    @pytest.mark.parametrize(("lifetime_s", "requests"), [(301, 1), (299, 2), (-1, 2)])
    def test_are_renewed_five_minutes_before_they_expire(self, lifetime_s: int, requests: int) -> None:
        tokens = FakeTokens(lifetime=timedelta(seconds=lifetime_s))
        cached = credentials(tokens)
        with acting_for("acme"):
            cached.keys()
            cached.keys()
        assert len(tokens.requests) == requests

    def test_are_those_of_the_outer_context_after_an_inner_one(self) -> None:
        cached = credentials(FakeTokens())
        with acting_for("acme"):
            with acting_for("other"):
                assert cached.keys().access_key == "key-of-other"
            assert cached.keys().access_key == "key-of-acme"

    def test_are_separate_in_each_thread(self) -> None:
        cached, barrier = credentials(FakeTokens()), threading.Barrier(4)

        def key_of(tenant_id: str) -> str | None:
            with acting_for(tenant_id):
                barrier.wait(timeout=5)
                return cached.keys().access_key

        tenants = ["acme", "other", "third", "fourth"]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(key_of, tenants)) == [f"key-of-{tenant_id}" for tenant_id in tenants]

    def test_raise_in_a_new_thread(self) -> None:
        cached = credentials(FakeTokens())
        with acting_for("acme"), ThreadPoolExecutor(1) as pool, pytest.raises(NoTenantBound):
            pool.submit(cached.keys).result()


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "AssumeRole")  # pyright: ignore[reportArgumentType]  # botocore has more of it


class TestStsOutage:
    @pytest.mark.parametrize(
        "error",
        [
            client_error("Throttling"),
            client_error("ThrottlingException"),
            client_error("RequestLimitExceeded", 503),
            client_error("InternalFailure", 500),
            client_error("502", 502),
            EndpointConnectionError(endpoint_url="https://sts"),
            ReadTimeoutError(endpoint_url="https://sts"),
        ],
        ids=str,
    )
    def test_raises_dependency_unavailable(self, error: Exception) -> None:
        with acting_for("acme"), pytest.raises(DependencyUnavailable) as raised:
            credentials(FakeTokens(error=error)).keys()
        assert raised.value.retry_after_s == 1

    def test_is_raised_by_the_store(self) -> None:
        keys = credentials(FakeTokens(error=client_error("Throttling"))).keys
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
    def test_does_not_include_refusals(self, code: str) -> None:
        with acting_for("acme"), pytest.raises(ClientError):
            credentials(FakeTokens(error=client_error(code))).keys()

    def test_leaves_a_cached_session_usable_until_it_expires(self) -> None:
        tokens = FakeTokens(lifetime=timedelta(seconds=200))
        cached = credentials(tokens)
        with acting_for("acme"):
            first = cached.keys()
            tokens.error = client_error("Throttling")
            assert cached.keys() == first

    def test_does_not_extend_a_session(self) -> None:
        tokens = FakeTokens(lifetime=timedelta(seconds=-1))
        cached = credentials(tokens)
        with acting_for("acme"):
            cached.keys()
            tokens.error = client_error("Throttling")
            with pytest.raises(DependencyUnavailable):
                cached.keys()


class TestCache:
    def test_is_bounded(self) -> None:
        cached = credentials(FakeTokens())
        for number in range(MAX_SESSIONS + 50):
            with acting_for(f"t{number}"):
                assert cached.keys().access_key == f"key-of-t{number}"
        assert len(cached._cache) == MAX_SESSIONS  # pyright: ignore[reportPrivateUsage]


class TestTenantClient:
    def test_signs_only_in_a_tenants_context(self) -> None:
        with tables.tables():
            arguments = {"TableName": os.environ["ENTITIES_TABLE_NAME"], "Key": {"PK": {"S": "a"}, "SK": {"S": "b"}}}
            client = tenant_client("dynamodb")
            with pytest.raises(NoTenantBound):
                client.get_item(**arguments)
            with acting_for("acme"):
                assert "Item" not in client.get_item(**arguments)

    def test_is_shared_by_all_tenants(self) -> None:
        with tables.tables():
            with acting_for("acme"):
                client = tenant_client("dynamodb")
            with acting_for("other"):
                assert tenant_client("dynamodb") is client


class TestOwnClient:
    def test_is_cached_by_service_and_settings(self) -> None:
        with tables.tables():
            assert own_client("dynamodb") is own_client("dynamodb")
            assert own_client("lambda", read_timeout_s=7, attempts=1) is not own_client("lambda")

    def test_applies_timeout_and_attempts(self) -> None:
        with tables.tables():
            config = own_client("lambda", read_timeout_s=7, attempts=1).meta.config
            assert (config.read_timeout, config.retries["total_max_attempts"]) == (7, 1)
