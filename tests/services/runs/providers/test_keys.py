"""Provider keys: their owners, cache and recipients."""

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from types_boto3_secretsmanager import SecretsManagerClient

from services.runs.providers.domain.request import ModelRequest, Provider
from services.runs.providers.gateway.keys import ProviderKeys
from services.runs.runs.domain.conversation import Message
from shared.errors import DependencyUnavailable
from shared.scope import current

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
OWN = "ainexus-test/tenants/demo-org/openai/key"
PLATFORM = "ainexus-test/openai/key"


@dataclass
class World:
    """Secrets, a clock and a reader of keys."""

    secrets: SecretsManagerClient
    now: datetime = NOW
    reads: int = 0

    def __post_init__(self) -> None:
        self.keys = ProviderKeys("test", of_tenant=lambda: self, of_platform=lambda: self, clock=lambda: self.now)

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue, counted."""
        self.reads += 1
        return self.secrets.get_secret_value(**arguments)

    def put(self, name: str, document: object) -> None:
        """Create or update a secret."""
        text = document if isinstance(document, str) else json.dumps(document)
        try:
            self.secrets.create_secret(Name=name, SecretString=text)
        except self.secrets.exceptions.ResourceExistsException:
            self.secrets.put_secret_value(SecretId=name, SecretString=text)


@pytest.fixture
def world() -> Generator[World]:
    """Return an empty store of secrets."""
    with mock_aws():
        yield World(
            boto3.client(  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
                "secretsmanager",
                region_name="us-east-2",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
        )


class TestOf:
    def test_returns_none_without_a_key(self, world: World) -> None:
        assert world.keys.of("demo-org", "openai") is None

    def test_returns_the_platforms_key(self, world: World) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        assert world.keys.of("demo-org", "openai") == "sk-platform"

    def test_prefers_the_tenants_key(self, world: World) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.put(OWN, {"api_key": "sk-own"})
        assert world.keys.of("demo-org", "openai") == "sk-own"

    def test_never_returns_another_tenants_key(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        assert world.keys.of("demo-org", "openai") == "sk-own"
        assert world.keys.of("demo", "openai") is None
        assert world.keys.of("demo-org2", "openai") is None

    @pytest.mark.parametrize("document", [{}, {"api_key": ""}, {"api_key": None}, {"key": "x"}, [], "not JSON"])
    def test_returns_none_for_a_secret_without_key(self, world: World, document: object) -> None:
        world.put(PLATFORM, document)
        world.put(OWN, document)
        assert world.keys.of("demo-org", "openai") is None

    def test_returns_none_for_a_secret_being_deleted(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        world.secrets.delete_secret(SecretId=OWN)
        assert world.keys.of("demo-org", "openai") is None

    def test_reads_once_a_minute(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        for _ in range(3):
            world.keys.of("demo-org", "openai")
        world.now += timedelta(seconds=59)
        world.keys.of("demo-org", "openai")
        assert world.reads == 1

    def test_sees_a_change_after_a_minute(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-old"})
        assert world.keys.of("demo-org", "openai") == "sk-old"
        world.put(OWN, {"api_key": "sk-new"})
        assert world.keys.of("demo-org", "openai") == "sk-old"
        world.now += timedelta(seconds=60)
        assert world.keys.of("demo-org", "openai") == "sk-new"

    def test_sees_a_first_key_after_a_minute(self, world: World) -> None:
        assert world.keys.of("demo-org", "openai") is None
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.now += timedelta(seconds=60)
        assert world.keys.of("demo-org", "openai") == "sk-platform"

    def test_hides_the_key_in_its_repr(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        world.keys.of("demo-org", "openai")
        assert "sk-own" not in repr(world.keys) + repr(vars(world.keys))


class Failing:
    """A Secrets Manager that fails or lacks the secret."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        raise self._error


class TestUnreadableSecrets:
    @pytest.mark.parametrize(
        "error",
        [
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue"),
            ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "GetSecretValue"),
            EndpointConnectionError(endpoint_url="https://secretsmanager.example"),
        ],
    )
    def test_do_not_fall_back_to_another_key(self, error: Exception) -> None:
        failing = Failing(error)
        keys = ProviderKeys("test", of_tenant=lambda: failing, of_platform=lambda: failing, clock=lambda: NOW)
        with pytest.raises(DependencyUnavailable):
            keys.of("demo-org", "openai")


class Witness:
    """Records the tenant whose credentials read the secret."""

    def __init__(self) -> None:
        self.bound: list[str | None] = []

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        self.bound.append(current().tenant_id)
        return {"SecretString": "{}"}


class TestOwn:
    def test_reads_as_the_tenant_and_not_the_platforms_key(self) -> None:
        tenants, platforms = Witness(), Witness()
        keys = ProviderKeys("test", of_tenant=lambda: tenants, of_platform=lambda: platforms, clock=lambda: NOW)
        keys.of("demo-org", "openai")
        assert (tenants.bound, platforms.bound) == (["demo-org"], [None])


class TestForRequest:
    @pytest.mark.parametrize(
        ("provider", "base_url", "key"),
        [
            ("simulated", None, ""),
            ("bedrock", None, ""),
            ("openai", None, "sk-platform"),
            ("openai", "https://api.openai.com/v1", "sk-platform"),
            ("openai", "https://llm.example.org/v1", ""),
            ("anthropic", None, None),
            ("anthropic", "https://api.openai.com", ""),
            ("openai", "https://eu.api.openai.com/v1", None),
            ("openai", "https://api.openai.com:8443/v1", None),
            ("azure", "https://acme.openai.azure.com/openai/v1", None),
            ("azure", None, None),
        ],
    )
    def test_sends_the_platforms_key_only_to_the_provider(
        self, world: World, provider: Provider, base_url: str | None, key: str | None
    ) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        request = ModelRequest(provider, "m", (Message("user", "Hi"),), 10, base_url=base_url)
        assert world.keys.for_request("demo-org", request) == key

    @pytest.mark.parametrize(
        ("base_url", "key"),
        [
            ("https://llm.example.org/v1", "sk-own"),
            ("https://LLM.example.org:443/v2", "sk-own"),
            ("https://llm.example.org:8443/v1", ""),
            ("http://llm.example.org/v1", ""),
            ("https://llm.example.org.evil.example/v1", ""),
            ("https://llm.example.org@evil.example/v1", ""),
            (None, "sk-platform"),
        ],
    )
    def test_sends_the_tenants_key_to_its_own_server(self, world: World, base_url: str | None, key: str) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.put(OWN, {"api_key": "sk-own", "base_url": "https://llm.example.org/v1"})
        request = ModelRequest("openai", "m", (Message("user", "Hi"),), 10, base_url=base_url)
        assert world.keys.for_request("demo-org", request) == key

    def test_sends_the_tenants_provider_key_to_no_other_server(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        elsewhere = ModelRequest("openai", "m", (Message("user", "Hi"),), 10, base_url="https://llm.example.org/v1")
        assert world.keys.for_request("demo-org", elsewhere) == ""
        assert world.keys.for_request("demo-org", replace(elsewhere, base_url=None)) == "sk-own"

    @pytest.mark.parametrize("name", ["azure", "openai"])
    def test_sends_the_tenants_key_to_its_own_azure_server(self, world: World, name: str) -> None:
        azure = "https://acme.openai.azure.com/openai/v1"
        world.put(f"ainexus-test/tenants/demo-org/{name}/key", {"api_key": "sk-own", "base_url": azure})
        request = ModelRequest("azure", "prod", (Message("user", "Hi"),), 10, base_url=azure)
        assert world.keys.for_request("demo-org", request) == "sk-own"
        elsewhere = replace(request, base_url="https://other.openai.azure.com/openai/v1")
        assert world.keys.for_request("demo-org", elsewhere) is None

    def test_sends_the_tenants_key_to_its_own_region(self, world: World) -> None:
        regional = "https://eu.api.openai.com/v1"
        world.put(OWN, {"api_key": "sk-own", "base_url": regional})
        request = ModelRequest("openai", "gpt-4o", (Message("user", "Hi"),), 10, base_url=regional)
        assert world.keys.for_request("demo-org", request) == "sk-own"
        assert world.keys.for_request("demo-org", replace(request, base_url="https://us.api.openai.com/v1")) is None
