"""The vault and its fake: storage, deletion and secrecy."""

import json
import traceback
from collections.abc import Generator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
from moto import mock_aws
from types_boto3_secretsmanager import SecretsManagerClient

from services.agents.errors import ProviderKeyNotFound, VaultUnavailable
from services.agents.provider_keys.domain import ProviderKey
from services.agents.provider_keys.gateway import FakeVault, SecretsVault, Vault

TENANT = "demo-org"
NAME = "ainexus-test/tenants/demo-org/openai/key"
KEY = ProviderKey("openai", "sk-own-1")
OTHER = ProviderKey("openai", "sk-own-2", "https://llm.example/v1")


@pytest.fixture
def secrets() -> Generator[SecretsManagerClient]:
    """Return a client without secrets."""
    with mock_aws():
        yield boto3.client(  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
            "secretsmanager",
            region_name="us-east-2",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


@pytest.fixture
def vault(secrets: SecretsManagerClient) -> SecretsVault:
    """Return a vault in Secrets Manager."""
    return SecretsVault(StrictClient(secrets), environment="test")


def stored(secrets: SecretsManagerClient) -> Any:  # noqa: ANN401 — JSON
    """Return the secret as the workers read it."""
    return json.loads(secrets.get_secret_value(SecretId=NAME)["SecretString"])


class TestPut:
    def test_creates_the_tenants_secret(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        assert stored(secrets) == {"api_key": "sk-own-1"}

    def test_replaces_the_key_and_its_server_together(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, OTHER)
        assert stored(secrets) == {"api_key": "sk-own-2", "base_url": "https://llm.example/v1"}
        vault.put(TENANT, KEY)
        assert stored(secrets) == {"api_key": "sk-own-1"}

    def test_restores_a_deleted_key(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.remove(TENANT, "openai")
        vault.put(TENANT, OTHER)
        assert stored(secrets) == {"api_key": "sk-own-2", "base_url": "https://llm.example/v1"}


class TestRemove:
    def test_deletes_the_key_at_once(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.remove(TENANT, "openai")
        with pytest.raises(ClientError, match="marked deleted"):
            secrets.get_secret_value(SecretId=NAME)

    def test_keeps_the_keys_of_others(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.put("demo-org2", OTHER)
        vault.put(TENANT, ProviderKey("anthropic", "sk-ant"))
        vault.remove("demo-org2", "openai")
        vault.remove(TENANT, "anthropic")
        assert stored(secrets) == {"api_key": "sk-own-1"}


class TestDestroy:
    def test_leaves_nothing_to_restore(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.remove(TENANT, "openai")
        vault.destroy(TENANT, "openai")
        assert secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []

    def test_ignores_a_missing_key(self, vault: Vault) -> None:
        vault.destroy(TENANT, "openai")


@pytest.mark.parametrize("kind", ["real", "fake"])
class TestVaults:
    def test_removes_a_key_once(self, vault: Vault, kind: str) -> None:
        tried = vault if kind == "real" else FakeVault()
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")
        tried.put(TENANT, KEY)
        tried.remove(TENANT, "openai")
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")

    def test_destroyed_key_does_not_exist(self, vault: Vault, kind: str) -> None:
        tried = vault if kind == "real" else FakeVault()
        tried.put(TENANT, KEY)
        tried.destroy(TENANT, "openai")
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")


class TestVaultOutage:
    ERRORS = (
        EndpointConnectionError(endpoint_url="https://secretsmanager"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no: sk-own-1"}}, "CreateSecret"),
    )

    @pytest.mark.parametrize("error", ERRORS, ids=["no response", "refused"])
    def test_raises_an_error_without_the_key(self, error: ClientError | BotoCoreError) -> None:
        broken = SecretsVault(FailingClient(error), environment="test")
        with pytest.raises(VaultUnavailable) as raised:
            broken.put(TENANT, KEY)
        text = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=False).format())
        assert "sk-own-1" not in text + repr(raised.value) + str(raised.value)

    def test_deletion_raises_the_same_error(self) -> None:
        broken = SecretsVault(FailingClient(self.ERRORS[1]), environment="test")
        with pytest.raises(VaultUnavailable):
            broken.remove(TENANT, "openai")
        with pytest.raises(VaultUnavailable):
            broken.destroy(TENANT, "openai")


class FailingClient:
    """A client whose calls all fail with this error."""

    def __init__(self, error: ClientError | BotoCoreError) -> None:
        self._error = error

    def create_secret(self, **_: object) -> None:
        """CreateSecret."""
        raise self._error

    def delete_secret(self, **_: object) -> None:
        """DeleteSecret."""
        raise self._error


class StrictClient:
    """A client that refuses changes of secrets marked as deleted, as AWS does and moto does not."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 — a client of botocore's
        self._inner = inner

    def create_secret(self, **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        """CreateSecret."""
        self._refuse_if_deleted(arguments["Name"], "CreateSecret")
        self._inner.create_secret(**arguments)

    def put_secret_value(self, **arguments: Any) -> None:  # noqa: ANN401 — as botocore's
        """PutSecretValue."""
        self._refuse_if_deleted(arguments["SecretId"], "PutSecretValue")
        self._inner.put_secret_value(**arguments)

    def _refuse_if_deleted(self, name: str, operation: str) -> None:
        known = self._inner.list_secrets(IncludePlannedDeletion=True)["SecretList"]
        if any(secret["Name"] == name and secret.get("DeletedDate") for secret in known):
            raise ClientError({"Error": {"Code": "InvalidRequestException", "Message": "marked deleted"}}, operation)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — a method of the client's
        return getattr(self._inner, name)
