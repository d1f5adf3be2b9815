"""The vault: what is stored, what is gone, and that nothing of it shows. The fake keeps the same rules."""

import json
import traceback
from collections.abc import Generator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
from moto import mock_aws
from types_boto3_secretsmanager import SecretsManagerClient

from services.agents.domain import ProviderKey
from services.agents.errors import ProviderKeyNotFound, VaultUnavailable
from services.agents.gateways.vault import FakeVault, SecretsVault, Vault

TENANT = "demo-org"
NAME = "ainexus-test/tenants/demo-org/openai/key"
KEY = ProviderKey("openai", "sk-own-1")
OTHER = ProviderKey("openai", "sk-own-2", "https://llm.example/v1")


@pytest.fixture
def secrets() -> Generator[SecretsManagerClient]:
    """No secrets yet."""
    with mock_aws():
        yield boto3.client(  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
            "secretsmanager",
            region_name="us-east-2",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


@pytest.fixture
def vault(secrets: SecretsManagerClient) -> SecretsVault:
    """The real one."""
    return SecretsVault(Strict(secrets), environment="test")


def stored(secrets: SecretsManagerClient) -> Any:  # noqa: ANN401 — JSON
    """What the workers read."""
    return json.loads(secrets.get_secret_value(SecretId=NAME)["SecretString"])


class TestPut:
    def test_makes_the_tenants_secret(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        assert stored(secrets) == {"api_key": "sk-own-1"}

    def test_replaces_the_key_and_its_server_together(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, OTHER)
        assert stored(secrets) == {"api_key": "sk-own-2", "base_url": "https://llm.example/v1"}
        vault.put(TENANT, KEY)
        assert stored(secrets) == {"api_key": "sk-own-1"}

    def test_brings_back_one_that_was_removed(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.remove(TENANT, "openai")
        vault.put(TENANT, OTHER)
        assert stored(secrets) == {"api_key": "sk-own-2", "base_url": "https://llm.example/v1"}


class TestRemove:
    def test_takes_it_out_of_use_at_once(self, vault: Vault, secrets: SecretsManagerClient) -> None:
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
    def test_leaves_nothing_to_bring_back(self, vault: Vault, secrets: SecretsManagerClient) -> None:
        vault.put(TENANT, KEY)
        vault.remove(TENANT, "openai")
        vault.destroy(TENANT, "openai")
        assert secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []

    def test_of_none_does_nothing(self, vault: Vault) -> None:
        vault.destroy(TENANT, "openai")


@pytest.mark.parametrize("kind", ["real", "fake"])
class TestBoth:
    def test_a_key_is_removed_once(self, vault: Vault, kind: str) -> None:
        tried = vault if kind == "real" else FakeVault()
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")
        tried.put(TENANT, KEY)
        tried.remove(TENANT, "openai")
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")

    def test_a_destroyed_one_is_not_there(self, vault: Vault, kind: str) -> None:
        tried = vault if kind == "real" else FakeVault()
        tried.put(TENANT, KEY)
        tried.destroy(TENANT, "openai")
        with pytest.raises(ProviderKeyNotFound):
            tried.remove(TENANT, "openai")


class TestTrouble:
    TROUBLES = (
        EndpointConnectionError(endpoint_url="https://secretsmanager"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no: sk-own-1"}}, "CreateSecret"),
    )

    @pytest.mark.parametrize("trouble", TROUBLES, ids=["no answer", "refused"])
    def test_says_so_and_shows_nothing(self, trouble: ClientError | BotoCoreError) -> None:
        broken = SecretsVault(Broken(trouble), environment="test")
        with pytest.raises(VaultUnavailable) as told:
            broken.put(TENANT, KEY)
        shown = "".join(traceback.TracebackException.from_exception(told.value, capture_locals=False).format())
        assert "sk-own-1" not in shown + repr(told.value) + str(told.value)

    def test_a_removal_says_so_too(self) -> None:
        broken = SecretsVault(Broken(self.TROUBLES[1]), environment="test")
        with pytest.raises(VaultUnavailable):
            broken.remove(TENANT, "openai")
        with pytest.raises(VaultUnavailable):
            broken.destroy(TENANT, "openai")


class Broken:
    """Every call ends like this."""

    def __init__(self, trouble: ClientError | BotoCoreError) -> None:
        self._trouble = trouble

    def create_secret(self, **_: object) -> None:
        """CreateSecret."""
        raise self._trouble

    def delete_secret(self, **_: object) -> None:
        """DeleteSecret."""
        raise self._trouble


class Strict:
    """Refuses what AWS refuses of a secret that is marked as deleted, and moto does not."""

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
