"""The tables under moto or in memory, with the environment variables from which the services read their names."""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import _lru_cache_wrapper, cache  # pyright: ignore[reportPrivateUsage]  # the type that `cache` returns is private
from typing import Any

import boto3
import pytest
from moto import mock_aws
from types_boto3_dynamodb import DynamoDBClient

from shared.aws import clients
from shared.aws.client import Caller
from shared.declaration import Slice, Table
from shared.storage.store import Store
from tests.dynamodb.memory_tables import MemoryTables

REGION = "us-east-2"
BUCKET = "ainexus-test-artifacts"
_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    # moto replaces AWS inside of botocore.
    "AWS_CLIENTS": "botocore",
    # moto's own account, because an assumed role of another account would find no tables.
    "DATA_ROLE_ARN": "arn:aws:iam::123456789012:role/data",
    "ARTIFACTS_BUCKET_NAME": BUCKET,
    "CORS_ORIGINS": '["http://localhost:3000"]',
    **{table.variable: f"ainexus-test-{table}" for table in Table},
}


def make_table(client: DynamoDBClient, name: str) -> None:
    """Create a table with the keys and the two indexes of all tables."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("PK", "SK", "list_pk", "list_sk", "due_pk", "due_sk")
        ],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": f"{index}_pk", "KeyType": "HASH"},
                    {"AttributeName": f"{index}_sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index in ("list", "due")
        ],
    )


@cache
def _client() -> DynamoDBClient:
    """Return a cached client, because its creation takes longer than most tests."""
    return boto3.client("dynamodb", region_name=REGION)  # pyright: ignore[reportUnknownMemberType]  # stubs for few services


@contextmanager
def tables(caches: Iterable["_lru_cache_wrapper[Any]"] = ()) -> Generator[DynamoDBClient]:
    """Create the three tables, and set the variables with their names.

    Args:
        caches: the caches of a service's wiring, which must not outlive the tables.
    """
    with _aws(caches):
        client = _client()
        for table in Table:
            make_table(client, os.environ[table.variable])
        yield client


@contextmanager
def memory_tables(caches: Iterable["_lru_cache_wrapper[Any]"] = ()) -> Generator[MemoryTables]:
    """Create tables in memory, which are faster. The rest of AWS is simulated by moto.

    Args:
        caches: the caches of a service's wiring, which must not outlive the tables.
    """
    memory = MemoryTables()

    def make_client(_: Caller) -> MemoryTables:
        return memory

    with _aws(caches), pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_CLIENTS")
        patch.setattr(clients, "_LEAN", {"dynamodb": make_client})
        yield memory


@contextmanager
def _aws(caches: Iterable["_lru_cache_wrapper[Any]"]) -> Generator[None]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        for name, value in _VARIABLES.items():
            environment.setenv(name, value)
        for cached_function in (*caches, clients.own_client, clients.tenant_client):
            cached_function.cache_clear()
        yield


@contextmanager
def store(owned: Slice) -> Generator[Store]:
    """Yield a slice of all tenants in a new table."""
    with tables() as client:
        yield Store(client, table=os.environ[owned.table.variable], owned=owned)
